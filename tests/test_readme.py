"""What README promises: a size, the method as the page shows it, and code that runs as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


def test_readme_can_be_read_in_a_sitting():
    assert len(README.splitlines()) <= 250


def test_the_table_of_scores_is_the_catalogues():
    from assets.build.scores import with_table
    from setar_core.scores.catalogue import as_markdown

    assert as_markdown() in README and with_table(README) == README
    assert with_table(README.replace(as_markdown(), "| score |\n|---|\n")) == README


def test_the_method_is_told_once():
    assert (ROOT / "demo" / "page" / "method.md").read_text(encoding="utf-8").rstrip() in README


def test_the_page_shows_the_method():
    from demo.build import METHOD, build
    from demo.server.library import Library

    shown = [getattr(block, "value", None) for block in build(Library()).blocks.values()]
    assert METHOD.strip() in [str(value).strip() for value in shown]


def test_the_pictures_are_there():
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(named) >= 5
    for name in named:
        assert 10_000 < (ROOT / name).stat().st_size < 500_000, name


def test_every_link_leads_to_a_file():
    for name in ("README.md", "CONTRIBUTING.md", "docs/library.md", "docs/api.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name}: {link}"


def test_the_names_of_the_library_are_its_own():
    import setar_core

    table = re.findall(r"^\| (.+?) \|", LIBRARY.split("## Fine-tune")[0], re.MULTILINE)[2:]
    names = {name for cell in table for name in re.findall(r"`(\w+)", cell)}
    assert len(names) > 12 and names <= set(setar_core.__all__) | {"Backbone"}


def test_five_minutes_run_as_written(tmp_path):
    section = README.split("**Five minutes")[1].split("For photographs")[0]
    (shell,), (code,) = (
        re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("sh", "python")
    )
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    setar = f'setar() {{ "{sys.executable}" -m setar_core "$@"; }}'
    there = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=there, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("bash", "-ec", f"{setar}\n{shell}").count("in-distribution: fox") == 1
    fox, taken, guitar = run(sys.executable, "-c", code).splitlines()
    assert fox.startswith("in-distribution: fox") and taken == "take it for a fox"
    assert guitar.startswith("out-of-distribution (nearest: ")


def test_the_measured_figures_are_those_last_printed():
    figures = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    section = README.split("## The embedded backbone, measured")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "/" in line]
    assert len(rows) == 4 and all(row in figures for row in rows)
    numbers = set(re.findall(r"\d+\.\d+", section)) - {"4.56"}  # million parameters
    assert len(numbers) > 20 and numbers <= set(re.findall(r"\d+\.\d+", figures))


def test_the_shipped_draw_is_the_one_that_the_rule_names():
    from assets.build.benchmark import DRAW

    figures = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    assert f"draw {DRAW} lies nearest the median" in figures


def test_a_space_preloads_what_its_page_opens_with():
    from demo.server.library import PHOTOGRAPHS_AT
    from setar_core.backbones.checkpoints import CLIP_WEIGHTS

    front = yaml.safe_load(README.split("---\n")[1])
    assert front["preload_from_hub"] == [f"{PHOTOGRAPHS_AT} {CLIP_WEIGHTS[0]}"]
