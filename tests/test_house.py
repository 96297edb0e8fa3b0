"""The house rules: imports run one way, rooms stay small, the core stays free of its faces."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The search is one wing of several rooms.
SEARCH = (
    *("search", "plan", "objective", "workbench", "kept", "crew", "memory"),
    *("replay", "trace", "pace"),
)
# A room may import from its own floor and from those below it.
FLOORS = {
    "ground": (
        *("recipe", "lowrank", "labels", "decoding", "images", "metrics"),
        *("bins", "published", "search_times"),
        *("archives", "contents", "directory", "sets", "curves", "bootstrap"),
        "noise",
    ),
    "networks": ("backbones", "spectra", "effect"),
    "what is asked of logits": ("scores", "losses", "calibration"),
    "what is done with them": ("detector", *SEARCH, "finetune"),
    "measured": ("benchmark", "scored", "results", "scorebook", "mistakes", "tables"),
    "commands": ("commands", "__main__"),
    "face": ("demo",),
    "door": ("app",),
}
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS.values()) for room in rooms}
# These share only what lies below them.
WINGS = {"detector": "detector", "finetune": "finetune", **dict.fromkeys(SEARCH, "search")}
FILES = sorted(
    path
    for path in [*ROOT.glob("setar_core/**/*.py"), *ROOT.glob("demo/**/*.py"), ROOT / "app.py"]
    if path.is_file()
)


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def room(module: str) -> str:
    """`setar_core.backbones.clip` is in the room `backbones`, `demo.figures` in `demo`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "setar_core" and len(parts) > 1 else parts[0]


def public_names() -> dict[str, str]:
    """Where `from setar_core import NAME` leads."""
    import setar_core

    return {name: f"setar_core.{home}" for name, home in setar_core._HOME.items()}


def imported(module: str) -> set[str]:
    """Every module of ours that a file imports, at its top, inside functions or for types."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                lazy = public_names().get(alias.name) if base == "setar_core" else None
                found.add(lazy or (name if name in MODULES else base))
        elif isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = node.args[0]
            if function in ("import_module", "__import__") and isinstance(target, ast.Constant):
                found.add(str(target.value))
    ours = {name for name in found if name.split(".")[0] in ("setar_core", "demo", "app")}
    return ours - {module, "setar_core"}


def test_every_room_has_its_floor():
    strangers = {room(module) for module in MODULES} - set(FLOOR_OF) - {"setar_core"}
    assert not strangers, f"give them a floor in tests/test_house.py: {sorted(strangers)}"


@pytest.mark.parametrize("module", [name for name in MODULES if name != "setar_core"])
def test_imports_run_one_way(module):
    here = room(module)
    for other in imported(module):
        there = room(other)
        assert FLOOR_OF.get(there, 0) <= FLOOR_OF.get(here, 0), f"{module} reaches up to {other}"
        if here in WINGS and there in WINGS:
            assert WINGS[here] == WINGS[there], f"{module} must not know {other}"


def test_imports_make_no_circle():
    # A package's __init__ gathers its own modules, so inside one package it is no step of a circle.
    steps = {
        module: {
            other
            for other in imported(module)
            if other in MODULES and not module.startswith(f"{other}.")
        }
        for module in MODULES
        if module != "setar_core"
    }
    while steps:
        free = {module for module, others in steps.items() if not others & set(steps)}
        assert free, f"a circle among {sorted(steps)}"
        steps = {module: others for module, others in steps.items() if module not in free}


def test_the_reader_of_imports_sees_lazy_relative_and_public_ones(tmp_path, monkeypatch):
    source = (
        "from . import labels\nfrom .backbones.base import Backbone\n"
        "def late():\n    from setar_core import SCORES\n    import demo.figures\n"
        "    import_module('setar_core.search')\n"
    )
    path = tmp_path / "made_up.py"
    path.write_text(source)
    monkeypatch.setitem(MODULES, "setar_core.made_up", path)
    expected = {"labels", "backbones", "scores", "demo", "search"}
    assert {room(name) for name in imported("setar_core.made_up")} == expected


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("setar_core/**/*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_names_no_face(path):
    words = re.findall(r"\b(gradio|plotly|demo)\b", path.read_text(encoding="utf-8"), re.IGNORECASE)
    assert not words


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 250, f"{lines} lines are two subjects; split the file"


def test_importing_the_core_is_light():
    code = (
        "import setar_core, setar_core.recipe, setar_core.labels, setar_core.images, sys;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'open_clip', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_page_opens_without_pytorch():
    code = (
        "import demo, sys;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'open_clip', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_can_be_imported():
    import setar_core

    for name in setar_core.__all__:
        assert getattr(setar_core, name) is not None


def test_no_asset_is_too_large():
    large = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in (ROOT / "assets").rglob("*")
        if path.is_file() and path.stat().st_size > 10_000_000
    }
    assert not large


def test_no_path_of_a_machine_is_written_down():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("needs a git checkout, to know which files are the project's")
    absolute = re.compile(rb"(?<![A-Za-z0-9_.$}~])/(?:work|root|home/(?!user/)\w+|Users/\w+)/")
    assert absolute.search(b"open('/" + b"root/notes')") and not absolute.search(b"a/work/b")
    found = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content[:8192] and absolute.search(content):
            found.append(name)
    assert not found


def test_the_pictures_of_the_readme_are_there():
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(named) >= 5
    for name in named:
        assert 10_000 < (ROOT / name).stat().st_size < 500_000, name
