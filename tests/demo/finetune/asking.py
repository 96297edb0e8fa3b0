"""What the tests of Fine-tune ask for, and how they wait for it."""

import time

from demo.finetune.request import ZIP, Controls
from demo.server.request import NO_RECIPE
from setar_core.labels import PROMPT

TINY = "local-dir:clip"
SLOW = 240  # seconds; machines that run tests are busy


def asked(zipped, recipe=NO_RECIPE, **changes):
    path, labels = zipped
    said = Controls("lora", ZIP, path, 2, 0.01, 8, 0.1, 1, 2, "16", False, 0)
    return TINY, labels, PROMPT, recipe, "mcm", 1.0, 1.0, *said._replace(**changes)


def started(handlers, controls):
    page = handlers.train(*controls)
    job = handlers.jobs.find(page.name)
    assert job is not None, page.state
    return page, job


def until(condition):
    deadline = time.monotonic() + SLOW
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
