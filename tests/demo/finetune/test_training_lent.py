"""A training on a card that is lent: in slices it ends as it ends at once."""

import pytest

from demo.finetune.handlers import TrainingHandlers
from demo.finetune.held import Epoch
from demo.finetune.job import Training
from demo.server.device import card
from demo.server.jobs import FAILED, FINISHED, STOPPED
from demo.server.library import Library
from tests.demo.finetune.asking import SLOW, asked, started


@pytest.fixture(scope="module")
def library(golden):
    return Library([f"local-dir:{golden / 'clip'}"])


@pytest.fixture
def lent(spaces, golden, monkeypatch):
    monkeypatch.setattr(card, "SLICE", 0.2)
    handlers = TrainingHandlers(Library([f"local-dir:{golden / 'clip'}"], card=card.lent()))
    yield handlers
    for _, job in handlers.jobs._kept.items():
        handlers.jobs.stop(job)
        job.wait(SLOW)


def ended(handlers, controls):
    _, job = started(handlers, controls)
    return over(job)


def over(job):
    """It, when it has ended: somebody looks on."""
    while job.active:
        job.watch()
        job.wait(1)
    return job


def numbers(job):
    return [point._replace(seconds=0.0) for point in job.points]


@pytest.mark.parametrize(("preset", "whole"), [("lora", SLOW), ("locoop", 0.0), ("npos", SLOW)])
def test_slices_end_as_it_ends_at_once(library, lent, zipped, spaces, monkeypatch, preset, whole):
    monkeypatch.setattr(card, "WHOLE", whole)
    controls = asked(zipped, preset=preset, epochs=4)
    here = ended(TrainingHandlers(library), controls)
    there = ended(lent, controls)
    assert (here.state, there.state) == (FINISHED, FINISHED), there.problem
    assert numbers(there) == numbers(here) and len(there.points) > 6
    assert there.adapter.fingerprint == here.adapter.fingerprint
    for mine, other in zip(here.epochs, there.epochs, strict=True):
        assert mine.inside.tolist() == other.inside.tolist()
        assert (mine.accuracy, mine.norms) == (other.accuracy, other.norms)
    assert len(spaces.asked) > 2


def test_what_is_stopped_or_killed_goes_on_to_the_same_end(
    library, lent, zipped, spaces, monkeypatch
):
    monkeypatch.setattr(card, "SLICE", 20.0)
    controls = asked(zipped, epochs=3, batch_size=2)  # ten steps an epoch
    here = ended(TrainingHandlers(library), controls)
    note = Training._note

    def killing(job, event):
        note(job, event)
        if isinstance(event, Epoch) and not event.epoch:
            spaces.kill_after = 4

    monkeypatch.setattr(Training, "_note", killing)
    job = ended(lent, controls)
    spaces.kill_after = None
    assert job.state == FAILED and "GPU task aborted" in job.problem and len(job.points) == 4
    assert job.resumable

    def stopping(job, event):
        note(job, event)
        if len(job.points) == 7:
            job.stop()

    monkeypatch.setattr(Training, "_note", stopping)
    over(lent.jobs.start(job))
    assert job.state == STOPPED and len(job.points) == 7
    monkeypatch.setattr(Training, "_note", note)
    over(lent.jobs.start(job))
    assert job.state == FINISHED and numbers(job) == numbers(here)
    assert job.adapter.fingerprint == here.adapter.fingerprint


def test_a_loss_that_diverges_is_told_as_here(library, lent, zipped):
    controls = asked(zipped, rate=1e6, epochs=9)
    problems = [ended(made, controls).problem for made in (TrainingHandlers(library), lent)]
    assert problems[0] == problems[1] and "at rate" in problems[0]
