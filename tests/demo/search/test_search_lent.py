"""A search on a card that is lent: in slices it finds what it finds at once."""

from dataclasses import replace

import pytest
import torch

from demo.search.handlers import SearchHandlers
from demo.server.device import card
from demo.server.jobs import FAILED, FINISHED, STOPPED
from demo.server.library import Library
from setar_core.search.trace import Trace
from tests.demo.lending import request
from tests.demo.search.asking import SLOW, finished, kept, until
from tests.demo.told import words


@pytest.fixture
def lent(spaces, golden, one_thread, monkeypatch):
    monkeypatch.setattr(card, "SLICE", 0.2)
    library = Library([f"local-dir:{golden / 'clip'}"], card=card.lent())
    made = SearchHandlers(library)
    yield made
    for job in kept(made):
        job.stop()
        job.wait(SLOW)


def known(trials):
    """All that a candidate is but its seconds."""
    found = []
    for trial in trials:
        patches = [trial.measures.ood, trial.best.ood]
        plain = [replace(of, ood=None) for of in (trial.measures, trial.best)]
        said = replace(trial, seconds=0.0, measures=plain[0], best=plain[1])
        found.append((said, trial.recipe.notes, [p.tolist() for p in patches]))
        assert all(patch.dtype == torch.bool for patch in patches)
    return found


@pytest.mark.parametrize("objective", ["locoop_loss", "auroc"])
def test_slices_find_what_is_found_at_once(handlers, lent, pictures, spaces, objective):
    here = finished(handlers, zip=pictures, objective=objective)
    request.set("mine")
    there = finished(lent, zip=pictures, objective=objective)
    request.set(None)
    assert (here.state, there.state) == (FINISHED, FINISHED), there.problem
    assert len(there.trials) == 24 and known(there.trials) == known(here.trials)
    assert there.recipe == here.recipe
    assert len(spaces.asked) > 1 and {call.request for call in spaces.asked} == {"mine"}
    assert lent.library.turns.running() == []


def test_what_was_stopped_goes_on_to_the_same_end(handlers, lent, pictures, monkeypatch):
    write = Trace.write

    def stopping(trace, trial):
        write(trace, trial)
        if trial.index == 3:
            lent.stop(kept(lent)[0].name)

    monkeypatch.setattr(Trace, "write", stopping)
    job = finished(lent, zip=pictures)
    assert job.state == STOPPED and len(job.trials) == 4
    monkeypatch.undo()
    lent.resume(job.name)
    until(lambda: not job.active)
    whole = finished(handlers, zip=pictures)
    assert job.state == FINISHED and job.recipe == whole.recipe
    assert [t.objective for t in job.trials] == [t.objective for t in whole.trials]


def test_a_slice_that_is_killed_is_told_and_resumed(lent, pictures, spaces):
    spaces.kill_after = 1
    job = finished(lent, zip=pictures)
    assert job.state == FAILED and "GPU task aborted" in job.problem and len(job.trials) == 1
    page = lent.poll(job.name, None)
    assert "what was done until then is kept" in words(page.state)
    lent.resume(job.name)
    until(lambda: not job.active)
    assert job.state == FINISHED and len(job.trials) == 24


def test_a_refusal_on_the_card_is_told_as_here(handlers, lent, pictures, monkeypatch):
    def refuse(plan, measures):
        raise ValueError(f"top-k {plan.top_k} is refused after {measures.losses.accuracy:.6f}")

    monkeypatch.setattr("setar_core.search.greedy._refuse_unmeasured", refuse)
    problems = [finished(made, zip=pictures).problem for made in (handlers, lent)]
    assert problems[0] == problems[1] and "is refused after" in problems[0]
