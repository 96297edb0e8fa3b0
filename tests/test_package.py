"""The library as others install it: `pip install .`, without the page."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def ranges(lines):
    """Package to versions, without extras."""
    found = (re.match(r"([\w-]+)(?:\[\w+\])?(.*)", line).groups() for line in lines)
    return {name.lower(): versions for name, versions in found}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the project was installed, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder), str(ROOT)], check=True)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Runs a command that sees the installed package and not the checkout."""

    def run(*command):
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_installed_package_brings_its_own_assets(run, installed):
    code = (
        "from setar_core import *; import setar_core;"
        "print(setar_core.__file__, len(LabelSet.load('animals')), Recipe.load('emoji-searched'))"
    )
    assert str(installed) in run(sys.executable, "-c", code)


def test_the_command_judges_a_picture_with_the_embedded_backbone(run, installed):
    fox = str(ROOT / "assets" / "examples" / "fox.webp")
    said = run(installed / "bin" / "setar", "verdict", fox, "--backbone", "emoji",
               "--labels", "animals", "--threshold", "0")  # fmt: skip
    module = run(sys.executable, "-m", "setar_core", "verdict", fox, "--backbone", "emoji",
                 "--labels", "animals", "--threshold", "0")  # fmt: skip
    assert "fox" in said and said == module


def test_the_wheel_holds_types_and_nothing_that_a_library_should_not(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "setar_core/py.typed" in names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {
        "setar_core",
        "setar_explorer",
    }
    assert wheel.stat().st_size < 12_000_000


def test_the_page_needs_what_the_library_says():
    page = ranges((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines())
    library = ranges(PROJECT["dependencies"])
    app = ranges(PROJECT["optional-dependencies"]["app"])
    assert page == library | app
