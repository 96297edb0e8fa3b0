"""Small sets, a finished run, and a machine that works when the test says so."""

import threading
import zipfile

import pytest

from demo.benchmark.handlers import BenchmarkHandlers
from demo.server.library import Library
from setar_core.paths import ASSETS
from tests.demo.benchmark.asking import SLOW, controls


@pytest.fixture(scope="module")
def library():
    return Library()


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """A few shipped pictures packed as a visitor would: animals in class folders, and noise."""
    folder = tmp_path_factory.mktemp("zips")
    found = {}
    for name, files in (
        (
            "pets",
            [f for a in ("fox", "owl") for f in sorted(ASSETS.glob(f"benchmark/id/{a}/*"))[:6]],
        ),
        ("static", [*ASSETS.glob("benchmark/noise/*")][:12]),
        ("cloth", [*ASSETS.glob("benchmark/textures/*")][:9]),
    ):
        found[name] = str(folder / f"{name}.zip")
        with zipfile.ZipFile(found[name], "w") as archive:
            for file in files:
                place = f"{file.parent.name}/{file.name}" if name == "pets" else file.name
                archive.write(file, place)
    return found


class Held:
    """Lets benchmarks do a batch after another when the test says so."""

    def __init__(self, run):
        self._run, self._asked, self._allowed = run, 0, 0
        self._changed = threading.Condition()

    def __call__(self, what, fn, *args):
        if what.startswith("benchmark"):
            with self._changed:
                self._asked += 1
                mine = self._asked
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: mine <= self._allowed, SLOW)
        return self._run(what, fn, *args)

    def let_go(self, batches):
        """Until the run stands before the next."""
        with self._changed:
            self._allowed += batches
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._asked > self._allowed, SLOW)

    def set(self):
        with self._changed:
            self._allowed = 10**6
            self._changed.notify_all()


@pytest.fixture
def held(library, monkeypatch):
    held = Held(library.turns.run)
    monkeypatch.setattr(library.turns, "run", held)
    yield held
    held.set()


@pytest.fixture(scope="module")
def done(library, zips):
    """A finished run, its name, and every view of it on the way."""
    handlers = BenchmarkHandlers(library)
    asked = controls(id_zip=zips["pets"], ood_zips=[zips["static"], zips["cloth"]])
    views = list(handlers.run(None, *asked))
    name = next(view.name for view in views if isinstance(view.name, str))
    return handlers, name, views, asked
