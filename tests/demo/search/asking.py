"""What the tests of Search ask for, and how they wait for it."""

import time
import zipfile

from demo.page.bar import OWN_LABELS
from demo.search.request import (
    ZIP,
    Controls,
)
from demo.search.view import SearchPage

SLOW = 240  # seconds; machines that run tests are busy
TINY = "local-dir:clip"


def zipped(path, folder, inside=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + str(file.relative_to(folder)))
    return str(path)


def controls(**changes):
    """What the left side says, in the order of `read_search`."""
    said = Controls(
        TINY, OWN_LABELS, ZIP, None, "0, 0.2, 0.4", 0.1, 12, "", "up", "locoop_loss", "gl_mcm",
        1.0, "minor", False, False, 512, 0, "fp32",
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


def started(handlers, page="page", **changes):
    shown = handlers.search(page, *controls(**changes))
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
