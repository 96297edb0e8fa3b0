"""Prints README's measured figures again: `python -m assets.build.figures [--only NAME ...]`.

They go into docs/figures.md, a section for each command; a test holds README against that file.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from setar_core.__main__ import main as setar
from setar_core.paths import BENCHMARK
from setar_core.scores import SCORES

FILE = Path(__file__).resolve().parents[2] / "docs" / "figures.md"
HEAD = (
    "# Figures\n\nWhat the commands below print, written by `make figures`. "
    "README quotes from here, and a test compares.\n"
)
OODS = ("near", "other", "textures", "glyphs", "noise")
ASKED = (
    "benchmark --backbone emoji --labels animals --recipe original emoji-searched "
    "--scores mcm,gl_mcm --id {0}/id --ood {0}/near {0}/other {0}/textures {0}/glyphs {0}/noise"
)


def shipped() -> str:
    """The embedded backbone on the shipped sets, as the command line measures it."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        out = Path(folder) / "results.json"
        setar([*ASKED.format(BENCHMARK).split(), "--out", str(out)])
        results = json.loads(out.read_text("utf-8"))
    lines = [
        f"    python -m setar_core {ASKED.format('assets/benchmark')} --out results.json",
        "",
        f"| weights | score | {' | '.join(OODS)} | mean AUROC | mean FPR95 |",
        "|---|---|" + "---|" * (len(OODS) + 2),
    ]
    notes = []
    rows = {(row["recipe"], row["score"], row["ood"]): row for row in results["rows"]}
    for recipe, score in dict.fromkeys(key[:2] for key in rows):
        title = recipe if recipe == "original" else f"`{recipe}`"
        cells = ["{auroc:.1f} / {fpr95:.1f}".format(**rows[recipe, score, name]) for name in OODS]
        mean = next(row for key, row in rows.items() if key == (recipe, score, "mean"))
        cells += [f"{mean['auroc']:.1f}", f"{mean['fpr95']:.1f}"]
        lines.append(f"| {title} | {SCORES[score].title} | {' | '.join(cells)} |")
        low, high = mean["ci"]["fpr95"]
        notes.append(
            f"- {title}, {SCORES[score].title}: mean FPR95 {mean['fpr95']:.2f} "
            f"(95 % interval {low:.1f} to {high:.1f}), mean AUROC {mean['auroc']:.2f}"
        )
    lines += ["", *notes]
    lines += [f"- {name}: top-1 {value:.1f} %" for name, value in results["accuracy"].items()]
    return "\n".join(lines)


def printed(*names: str) -> Callable[[], str]:
    """What modules print when they are run."""

    def run() -> str:
        parts = []
        for name in names:
            done = subprocess.run(
                [sys.executable, "-m", name], capture_output=True, text=True, check=True
            )
            parts.append(f"    python -m {name}\n\n```\n{done.stdout.strip()}\n```")
        return "\n\n".join(parts)

    return run


SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "shipped": ("The embedded backbone on the shipped sets", shipped),
    "draws": ("Twenty draws of the shipped sets", printed("assets.build.draws")),
    "recipe": ("What SeTAR does over many draws", printed("tests.speed.emoji_recipe")),
    "speed": ("Speed, as ratios in one run", printed("tests.speed.detect", "tests.speed.search")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    chosen = parser.parse_args().only
    kept = re.split(r"^## (.+)\n", FILE.read_text("utf-8"), flags=re.M) if FILE.exists() else [""]
    bodies = dict(zip(kept[1::2], (body.strip() for body in kept[2::2]), strict=True))
    for name in chosen:
        title, measure = SECTIONS[name]
        bodies[title] = measure()
        parts = [
            f"\n## {title}\n\n{bodies[title]}\n"
            for title, _ in SECTIONS.values()
            if title in bodies
        ]
        FILE.write_text(HEAD + "".join(parts), "utf-8")  # after each: a long run loses nothing
        print(f"{name}: written to {FILE.name}", flush=True)


if __name__ == "__main__":
    main()
