"""A tiny network to search, pictures for it, and a machine that stands still."""

import threading
from dataclasses import replace

import pytest

from demo.search.handlers import SearchHandlers
from demo.server.library import Library
from setar_core.recipe import Recipe, Site
from setar_core.search.trial import Losses, Measures, Trial
from tests.demo.search.asking import SLOW, TINY, kept, zipped
from tests.threads import threads


@pytest.fixture(scope="module")
def one_thread():
    """Small matrices are quicker in one."""
    with threads(1):
        yield


@pytest.fixture(scope="module")
def library(golden, one_thread):
    found = Library([f"local-dir:{golden / 'clip'}"])
    found.backbone(TINY)
    return found


@pytest.fixture
def handlers(library):
    made = SearchHandlers(library)
    yield made
    for job in kept(made):
        job.stop()


@pytest.fixture(scope="module")
def pictures(golden, tmp_path_factory):
    """A zip of one folder of pictures a label."""
    return zipped(tmp_path_factory.mktemp("zips") / "pictures.zip", golden / "clip" / "images")


@pytest.fixture
def held(library):
    """Holds the machine, so that a search stands still before its next candidate."""
    free, taken = threading.Event(), threading.Event()

    def hold():
        taken.set()
        free.wait(SLOW)

    thread = threading.Thread(target=library.turns.run, args=("a test", hold))
    thread.start()
    taken.wait()
    yield free
    free.set()
    thread.join()


@pytest.fixture
def trial():
    """Makes a trial of nothing in particular."""
    measures = Measures(Losses(1.0, 1.0, 0.0, 50.0, 10.0))

    def trial(**changes):
        site = Site("visual", 5, "up")
        made = Trial(0, 4, 0, site, 0.0, measures, 1.0, True, Recipe({}), measures, 0.0)
        return replace(made, **changes)

    return trial
