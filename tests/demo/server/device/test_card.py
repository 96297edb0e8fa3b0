"""Work in slices on a card that is lent: its steps, its end, and what breaks it off."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

from demo.server.device import card
from demo.server.device.card import BEGINNING, Lent, Source, Work, lent
from demo.server.library import Library
from demo.server.shipped import EMBEDDED
from tests.demo.lending import request

ROOT = Path(__file__).resolve().parents[4]
TOY = Source(EMBEDDED, EMBEDDED)
SLOW = 60  # seconds; machines that run tests are busy
met = 0  # steps that this process has made


@pytest.fixture(scope="module", autouse=True)
def imported():
    """Processes that are forked have the libraries then."""
    Library().backbone(EMBEDDED)


def counted(backbone, last, pause, state):
    """Numbers after `state`, with the steps that their process has made and its number."""
    global met
    for number in range(state + 1, last + 1):
        met += 1
        time.sleep(pause)
        yield number, met, os.getpid()


def refusing(backbone, state):
    yield 1
    raise ValueError(f"{backbone.name} is refused; give another")


def faulty(backbone, state):
    yield 1 / 0


def echoed(backbone, tensors, state):
    yield tensors


def number_of(state, step):
    return step[0]


def steps_of(run, *given, after=number_of, state=0):
    made = lent()
    assert made is not None
    return closing(Lent(made, TOY, Work(run, given, after), state))


def all_of(steps, left=1):
    found = []
    while (step := steps.next("counting", left)) is not None:
        found.append(step)
    return found


def test_without_a_card_nothing_of_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "spaces.py").write_text("raise AssertionError('it was imported')")
    code = (
        "import sys; from demo.server.device.card import lent; assert lent() is None;"
        "sys.exit(any(name in sys.modules for name in ('spaces', 'gradio', 'torch')))"
    )
    paths = os.pathsep.join((str(ROOT), str(tmp_path)))
    for said in ("", "false"):
        env = {**os.environ, "PYTHONPATH": paths, "SPACES_ZERO_GPU": said}
        run = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, check=False)
        assert run.returncode == 0
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)  # is not installed
    assert lent() is None


def test_without_a_card_a_step_is_a_turn(monkeypatch):
    library, said = Library(), []
    run = library.turns.run
    monkeypatch.setattr(library.turns, "run", lambda *a: (said.append(a[0]), run(*a))[1])
    with library.stepping(EMBEDDED, None, Work(counted, (3, 0), number_of), 1) as steps:
        assert [number for number, *_ in all_of(steps)] == [2, 3]
        steps.rest()
    assert said == ["counting"] * 3 and met == 2


def test_slices_go_on_from_each_other_in_a_process_that_is_taken_up_again(spaces, monkeypatch):
    monkeypatch.setattr(card, "SLICE", 0.1)
    before = met
    with steps_of(counted, 12, 0.03) as steps:
        found = all_of(steps)
    assert [number for number, *_ in found] == list(range(1, 13))
    assert [made - before for _, made, _ in found] == list(range(1, 13))  # its state stayed there
    assert met == before and {process for *_, process in found} == {spaces.asked[0].process}
    assert len(spaces.asked) > 2 and {call.process for call in spaces.asked} == {found[0][2]}


def test_a_slice_asks_for_what_the_rest_takes(spaces, monkeypatch):
    with steps_of(counted, 9, 0.01) as steps:
        assert steps.seconds == card.SLICE
        for left in (1000, 1000, 1000):
            steps.next("counting", left)
        steps._left = 1_000_000
        assert steps.seconds == card.SLICE
        steps._left = 1
        assert steps.seconds == card.SHORTEST
        steps.rest()
        all_of(steps)
    assert [call.seconds for call in spaces.asked] == [
        card.SLICE + BEGINNING,
        card.SHORTEST + BEGINNING,
    ]


def test_it_is_asked_for_in_the_context_of_who_asks(spaces):
    request.set("mine")
    with steps_of(counted, 1, 0) as steps:
        all_of(steps)
    assert [call.request for call in spaces.asked] == ["mine"]
    request.set(None)


def test_a_refusal_arrives_as_its_sentence(spaces):
    with steps_of(refusing, after=lambda state, step: step) as steps:
        assert steps.next("it", 1) == 1
        with pytest.raises(ValueError, match=r"^emoji is refused; give another$"):
            steps.next("it", 1)
    unknown = Lent(lent(), Source("no/such", "no/such"), Work(faulty, (), None), 0)
    with closing(unknown) as steps, pytest.raises(ValueError, match="no/such"):
        steps.next("it", 1)


def test_a_fault_and_a_quota_are_told_in_a_sentence(spaces):
    with (
        steps_of(faulty) as steps,
        pytest.raises(ValueError, match=r"further .ZeroDivisionError\)"),
    ):
        steps.next("it", 1)
    spaces.refusal = "You have exceeded your ZeroGPU quota (60s requested vs. 3s left)."
    with steps_of(counted, 1, 0) as steps, pytest.raises(ValueError, match=r"60s requested.*left"):
        steps.next("it", 1)


def test_a_slice_that_is_killed_is_told_and_gone_on_from(spaces, monkeypatch):
    spaces.kill_after = 2
    with steps_of(counted, 4, 0) as steps:
        found = [steps.next("it", 1)[0] for _ in range(2)]
        with pytest.raises(ValueError, match=r"GPU task aborted.*what was done until then is kept"):
            steps.next("it", 1)
    with steps_of(counted, 4, 0, state=found[-1]) as steps:
        assert found + [number for number, *_ in all_of(steps)] == [1, 2, 3, 4]
    assert len({call.process for call in spaces.asked}) == 2
    monkeypatch.setattr(card, "SLICE", -9.5)  # an end before the first step's
    with steps_of(counted, 4, SLOW) as steps, pytest.raises(ValueError, match=r"aborted"):
        steps.next("it", 1)


def test_who_stops_waits_for_one_step_and_leaves_nothing(spaces):
    with steps_of(counted, 1000, 0.02) as steps:
        assert steps.next("it", 1)[0] == 1
        folder = steps._given.parent
        assert folder.is_dir()
    assert not folder.exists()
    with steps_of(counted, 1, 0) as steps:
        assert all_of(steps)[0][1] < 900  # the process was free again
    assert len({call.process for call in spaces.asked}) == 1


def test_tensors_come_back_whole_and_alone(spaces):
    large = torch.arange(12.0).reshape(3, 4)
    tensors = [
        large[1], large.T, large.bfloat16(), large > 3, torch.tensor(7), torch.empty(0, 3),
        torch.nn.Parameter(large),
    ]  # fmt: skip
    with steps_of(echoed, tensors, after=lambda state, step: state) as steps:
        found = steps.next("it", 1)
    for sent, came in zip(tensors, found, strict=True):
        assert came.dtype == sent.dtype and torch.equal(came, sent) and not came.requires_grad
        assert came.untyped_storage().nbytes() == came.numel() * came.element_size()
    assert len(card._packed(torch.zeros(10**6)[:1])) < 10_000
