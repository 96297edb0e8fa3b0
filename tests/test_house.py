"""The house rules: imports run one way, rooms stay small, the core stays free of its faces."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A room may import from its own floor and from those below it.
FLOORS = {
    "ground": (
        "paths",
        "recipe",
        "adapter",
        "lowrank",
        "labels",
        "metrics",
        "journal",
        "memory",
        "parallel",
        "photographs",
        "data",
    ),
    "networks": ("backbones",),
    "asked of a network": (
        "spectra",
        "scores",
        "losses",
        "threshold",
        "verdict",
    ),
    "done with it": ("detector", "search", "finetune"),
    "measured": ("benchmark", "published", "interop"),
    "printed": ("papers",),
    "commands": ("commands", "__main__"),
    "server": ("demo.server",),
    "page": ("demo.page",),
    "tabs": tuple(
        f"demo.{tab}"
        for tab in ("detect", "search", "benchmark", "spectrum", "published", "finetune")
    ),
    "face": ("demo", "demo.api", "demo.build"),
    "door": ("app",),
}
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS.values()) for room in rooms}
# Rooms of these floors share only what lies below them.
APART = {room for floor in ("done with it", "tabs") for room in FLOORS[floor]}
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
    """`setar_core.scores.logits` is in the room `scores`, `demo.page.figures` in `demo.page`."""
    parts = module.split(".")
    if parts[0] == "setar_core" and len(parts) > 1:
        return parts[1]
    return ".".join(parts[:2])


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
        if here in APART and FLOOR_OF.get(there) == FLOOR_OF[here]:
            assert here == there, f"{module} must not know {other}"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("demo/server/**/*.py")), ids=lambda path: path.name
)
def test_the_server_knows_no_gradio(path):
    assert not re.search(r"^\s*(import|from) gradio\b", path.read_text(encoding="utf-8"), re.M)


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
        "def late():\n    from setar_core import SCORES\n    import demo.page.figures\n"
        "    import_module('setar_core.search.greedy')\n"
    )
    path = tmp_path / "made_up.py"
    path.write_text(source)
    monkeypatch.setitem(MODULES, "setar_core.made_up", path)
    expected = {"labels", "backbones", "scores", "demo.page", "search"}
    assert {room(name) for name in imported("setar_core.made_up")} == expected


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("setar_core/**/*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_core_names_no_face(path):
    words = re.findall(r"\b(gradio|plotly|demo)\b", path.read_text(encoding="utf-8"), re.IGNORECASE)
    assert not words


def test_only_one_file_of_the_core_touches_threads():
    words = re.compile(r"\b(threading|concurrent\.futures|set_num_threads)\b")
    found = [
        path.name
        for path in sorted(ROOT.glob("setar_core/**/*.py"))
        if words.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["workers.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_json_is_strict(path):
    """Python's own would write NaN and Infinity, which no other reader takes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        writes = isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "json.dumps",
            "json.dump",
        )
        if writes:
            assert "allow_nan=False" in ast.unparse(node), f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{lines} lines: are there two subjects?"


@pytest.mark.parametrize("top", ["setar_core", "demo", "tests"])
def test_a_folder_can_be_seen_at_a_glance(top):
    for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
        if "golden" in folder.parts or folder.name == "__pycache__":
            continue
        files = [path.name for path in folder.iterdir() if path.suffix == ".py"]
        assert len(files) <= 14, f"{folder.relative_to(ROOT)} holds {len(files)} files"


def test_importing_the_core_is_light():
    code = (
        "import setar_core, setar_core.recipe, setar_core.labels, setar_core.data.images, sys;"
        "from setar_core.scores import SCORES; from setar_core import ScoreOptions;"
        "import setar_core.search.plan, setar_core.search.trace, setar_core.published;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'open_clip', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_page_opens_without_pytorch():
    code = (
        "import demo.build, sys;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'open_clip', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_can_be_imported():
    import setar_core

    for name in setar_core.__all__:
        assert getattr(setar_core, name) is not None


def test_editors_see_every_public_name():
    import setar_core

    tree = ast.parse((ROOT / "setar_core/__init__.py").read_text(encoding="utf-8"))
    homes = {
        alias.asname: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }
    assert homes == setar_core._HOME


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
