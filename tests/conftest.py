"""What every test may ask for: the read-only shared material, the golden numbers, a browser."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
SCREENSHOTS = ROOT / "assets" / "screenshots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores share them
    os.environ["OMP_NUM_THREADS"] = "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as nohup leaves it, to processes too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=60.0,
        help="how long all tests of tests/fuzz together mutate files (default: %(default)s)",
    )
    parser.addoption(
        "--device",
        default="cpu",
        help="where the golden tests run: cpu, cuda, cuda:1 (default: %(default)s)",
    )


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device of `--device`."""
    return request.config.getoption("--device")


def group(nodeid: str) -> str:
    """What one process runs of several: all files that ask for the served app, or another file."""
    file = nodeid.partition("::")[0]
    return "served" if {"visit", "served"} & set(_words(ROOT / file)) else file


@cache
def _words(file: Path) -> list[str]:
    return re.findall(r"\w+", file.read_text(encoding="utf-8"))


class Groups(LoadScopeScheduling):
    """The largest group first, whatever its number of tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """One process alone keeps a browser busy, however many there are."""
    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins with the tests of the served app, and leaves out those marked `long`, unless it is
    `-m` that names them."""
    items.sort(key=lambda item: group(item.nodeid) != "served")
    if "long" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def fuzz_seconds(request: pytest.FixtureRequest) -> float:
    """One test's share of `--fuzz-seconds`, at most a quarter of it."""
    sharing = sum("fuzz_seconds" in item.fixturenames for item in request.session.items)
    return request.config.getoption("--fuzz-seconds") / max(4, sharing)


@pytest.fixture(scope="session", autouse=True)
def kept_apart(tmp_path_factory) -> None:
    """Nothing is kept where the user's own runs, or another process of this one, keep it."""
    os.environ["SETAR_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("uploads"))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Finds material that is not distributed with the repository, in `shared` beside it."""

    def shared(name: str) -> Path:
        path = ROOT.parent / "shared" / name
        if not path.exists():
            pytest.skip(f"needs ../shared/{name}, which is not distributed with the repository")
        return path

    return shared


@pytest.fixture(scope="session")
def golden() -> Path:
    """Numbers from the reference implementation, on tiny networks."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet of four classes with random weights and statistics, as timm saves it."""
    import timm
    import torch
    from timm.models import save_for_hf

    folder: Path = tmp_path_factory.mktemp("timm") / "resnet"
    sizes = {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 24]}
    names = ["zebra", "sea lion", "fox", "owl"]
    overlay = {"input_size": (3, 96, 96)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(
            "resnet26", num_classes=len(names), pretrained_cfg_overlay=overlay, **sizes
        )
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.3)
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 1.5)
    more = {"model_config": {"label_names": names}, "model_args": sizes}
    save_for_hf(model, str(folder), safe_serialization=True, **more)
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The executable of a Chromium; without one a browser test is skipped, or fails if CI=true."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
    if Path(bundled).is_file():
        return bundled
    missing = "no Chromium; install it (apt-get install chromium, or playwright install chromium)"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="module")
def browser(chromium_path) -> Iterator["Browser"]:
    """A Chromium that asks nothing of the network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def drawn() -> Callable[["Page", str], None]:
    """Draws what a page shows into the README's pictures when `SCREENSHOTS=1` asks for it."""

    def drawn(page: "Page", name: str) -> None:
        if os.environ.get("SCREENSHOTS"):
            SCREENSHOTS.mkdir(exist_ok=True)
            page.mouse.move(0, 0)
            page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return drawn


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """The address of the whole app, as `python app.py` starts it."""
    import app
    from demo.detect import handlers

    handlers.AT_ONCE = 60.0  # a busy machine follows settings as a quiet one does
    demo = app.start(app.arguments([]))
    yield demo.local_url
    demo.close()
