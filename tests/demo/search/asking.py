"""What the tests of Search ask for, and how they wait for it."""

import time
import zipfile

from demo.search.request import ZIP, Controls
from demo.search.view import SearchPage
from demo.server.request import NO_RECIPE
from demo.server.shipped import label_set
from setar_core.labels import PROMPT
from setar_core.paths import ASSETS

SLOW = 240  # seconds; machines that run tests are busy
TINY = "local-dir:clip"
OBJECTS = "\n".join(  # whose pictures are beside the golden numbers
    sorted(path.name for path in (ASSETS.parent / "tests/golden/clip/images").iterdir())
)
VOC, ANIMALS = ("\n".join(label_set(name).names) for name in ("voc20", "animals"))


def zipped(path, folder, inside=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + str(file.relative_to(folder)))
    return str(path)


def controls(**changes):
    """What the bar and the left side say, in the order of `read_search`."""
    said = Controls(
        TINY, OBJECTS, PROMPT, NO_RECIPE, "mcm", 1.0, 1.0, ZIP, None, "0, 0.2, 0.4", 0.1, 12, "",
        "up", "locoop_loss", "minor", False, False, 512, 0, "fp32", False,
    )  # fmt: skip
    return said._replace(**changes)


def kept(handlers):
    """Every search that is kept, running or over."""
    return [job for _, job in handlers.jobs._kept.items()]


def until(condition, what="it"):
    deadline = time.monotonic() + SLOW
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


def started(handlers, **changes):
    shown = handlers.search(*controls(**changes))
    assert isinstance(shown, SearchPage)
    job = handlers.jobs.find(shown.name)
    assert job is not None, shown.state
    return job


def finished(handlers, **changes):
    job = started(handlers, **changes)
    until(lambda: not job.active, "the search")
    return job


def cells(found):
    """Every cell of a map by its column and its name."""
    return {(column.title, cell.name): cell for column in found.columns for cell in column.cells}
