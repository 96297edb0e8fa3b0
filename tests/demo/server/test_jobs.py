"""Long work: in a line, watched, stopped, resumed, found again, orphaned, kept and dropped."""

import threading
from contextvars import ContextVar

import pytest

from demo.server.jobs import (
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    WAITING,
    Job,
    Jobs,
    Progress,
    reporting,
    result_of,
    told,
)
from demo.server.limits import KEPT_SECONDS, ORPHANED
from demo.server.visitors import NOBODY, Asker, asker
from tests.demo.asking import asking
from tests.demo.clock import Clock

SLOW = 60  # seconds; machines that run tests are busy


class Work:
    """Counts to `last`, a step whenever the test lets it, and says what became of it."""

    def __init__(self, last=3):
        self.last, self.closed, self.begun = last, 0, 0
        self._free, self._taken = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self):
        self.begun += 1
        try:
            for i in range(self.last):
                yield Progress(f"step {i}", i / self.last)
                yield i
                self._taken.release()
                assert self._free.acquire(timeout=SLOW)
            return "done"
        finally:
            self.closed += 1

    def step(self):
        """Until the work stands still again."""
        assert self._taken.acquire(timeout=SLOW)
        self._free.release()

    def finish(self):
        self._free.release(self.last)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def jobs(clock):
    return Jobs(longest=3, kept=8, clock=clock)


def over(job):
    job.wait(SLOW)
    assert not job.active
    return job


def test_work_runs_to_its_result_and_keeps_its_events(jobs):
    work = Work()
    job = Job("counting", work)
    assert not job.active and not job.usable
    jobs.start(job)
    work.step()
    assert job.state == RUNNING and job.events[0] == 0
    work.finish()
    assert job.outcome() == "done" and job.state == FINISHED
    assert job.events == [0, 1, 2] and job.progress == Progress("step 2", 2 / 3)
    assert work.closed == 1 and jobs.find(job.name) is job


def test_names_cannot_be_guessed(jobs):
    names = {Job("x").name for _ in range(9)}
    assert len(names) == 9 and all(len(name) >= 20 for name in names)
    for other in (None, 3, ["x"], {}, "x"):
        assert jobs.find(other) is None


def test_the_next_begins_when_the_one_before_ends(jobs):
    first, second = Work(), Work()
    one, two = (jobs.start(Job(name, work)) for name, work in (("a", first), ("b", second)))
    first.step()
    assert two.state == WAITING and jobs.before(two) == [one] and jobs.before(one) == []
    assert two.progress.sentence == jobs.waiting and second.begun == 0
    first.finish()
    second.finish()
    assert two.outcome() == "done" and one.ended <= two.began
    assert jobs.before(two) == []


def test_as_many_run_as_may():
    jobs, works = Jobs(at_once=2), [Work() for _ in range(3)]
    made = [jobs.start(Job("x", work)) for work in works]
    works[0].step(), works[1].step()
    assert [job.state for job in made] == [RUNNING, RUNNING, WAITING]
    for work in works:
        work.finish()
    assert [job.outcome() for job in made] == ["done"] * 3


def test_a_line_that_is_too_long_is_refused_in_words():
    jobs = Jobs(longest=2, full="not {title}: {count} are before it ({titles})")
    works = [Work(), Work()]
    made = [jobs.start(Job(title, work)) for title, work in zip("ab", works, strict=True)]
    with pytest.raises(ValueError, match=r"^not c\{x\}: 2 are before it \(a, b\)$"):
        jobs.start(Job("c{x}", Work()))
    for work in works:
        work.finish()
    assert [job.outcome() for job in made] == ["done", "done"]
    jobs.start(Job("c", Work(0)))  # there is room again


def test_it_is_stopped_between_two_steps_and_goes_on(jobs):
    work = Work()
    job = jobs.start(Job("counting", work))
    work._taken.acquire(timeout=SLOW)
    jobs.stop(job)
    assert job.active and job.stopping and not job.usable
    work._free.release()
    assert over(job).state == STOPPED and not job.orphaned
    assert job.events == [0] and work.closed == 1
    with pytest.raises(ValueError, match="counting was stopped before its end"):
        job.outcome()
    assert jobs.start(job) is job and job.usable and job.events in ([], [0])
    work.finish()
    assert job.outcome() == "done" and work.begun == 2


def test_who_waits_and_is_stopped_leaves_the_line_at_once(jobs):
    first, second = Work(), Work()
    one = jobs.start(Job("a", first))
    two = jobs.start(Job("b", second))
    jobs.stop(two)
    assert two.state == STOPPED and one.active and second.begun == 0
    first.finish()
    over(one)


def test_a_refusal_is_told_and_a_fault_is_told_and_raised(jobs, monkeypatch):
    raised = threading.Event()
    monkeypatch.setattr(
        threading, "excepthook", lambda args: args.exc_type is ZeroDivisionError and raised.set()
    )

    def failing(error):
        yield Progress("about to fail")
        raise error

    refused = jobs.start(Job("it", lambda: failing(ValueError("the disk is away"))))
    assert (
        over(refused).state == FAILED
        and refused.problem == "the disk is away"
        and not raised.is_set()
    )
    with pytest.raises(ValueError, match=r"^the disk is away$"):
        refused.outcome()
    broken = over(jobs.start(Job("it", lambda: failing(ZeroDivisionError()))))
    assert broken.state == FAILED and broken.problem == "it broke off by a fault of this app"
    assert jobs.start(Job("next", Work(0))).outcome() == "done"  # the line goes on
    assert raised.wait(SLOW)


def test_it_ends_when_nobody_looks_on_for_long(jobs, clock):
    work = Work()
    job = jobs.start(Job("counting", work))
    work._taken.acquire(timeout=SLOW)
    clock.now += ORPHANED - 1
    assert job.wanted()  # a reload would still find it running
    job.watch()
    clock.now += ORPHANED
    assert job.wanted()
    clock.now += 1
    work._free.release()
    assert over(job).state == STOPPED and job.orphaned and work.closed == 1


def test_an_orphan_does_not_hold_the_line(jobs, clock):
    works = [Work() for _ in range(3)]
    made = [jobs.start(Job("x", work)) for work in works]
    clock.now += ORPHANED + 1
    made[0].watch(), made[2].watch()
    assert jobs.before(made[2]) == [made[0]] and made[1].state == STOPPED
    jobs.stop(made[0])
    works[0].finish(), works[2].finish()
    assert over(made[2])


def test_a_visitor_has_a_part_of_the_line_and_half_of_what_runs():
    jobs, works = Jobs(at_once=4, longest=6, each=3), [Work() for _ in range(5)]
    mine = [jobs.start(Job("x", work), "me") for work in works[:3]]
    with pytest.raises(ValueError, match=r"^3 of your own are running or waiting already"):
        jobs.start(Job("x", Work()), "me")
    others = [jobs.start(Job("x", works[i]), f"visitor {i}") for i in (3, 4)]
    assert [job.state for job in mine] == [RUNNING, RUNNING, WAITING]
    assert [job.state for job in others] == [RUNNING, RUNNING]
    for work in works:
        work.finish()
    assert [job.outcome() for job in (*mine, *others)] == ["done"] * 5
    with asking("me"):
        assert jobs.start(Job("x", Work(0))).visitor == "me"


def test_work_is_done_for_who_asked_and_by_its_own_name(jobs):
    found = []

    def work():
        yield from reporting("asking", lambda report: found.append(asker.get()))
        found.append(asker.get())

    with asking("me", "an event"):
        job = jobs.start(Job("it", work))
    job.outcome()
    assert found == [Asker("me", job.name)] * 2 and asker.get() == NOBODY


def test_it_goes_on_in_the_context_of_who_looks_on(jobs):
    request, found, work = ContextVar("request", default=None), [], Work()

    def noting():
        for step in work():
            found.append((request.get(), asker.get()))
            yield step

    request.set("first")
    with asking("me"):
        job = jobs.start(Job("it", noting))
    work.step()
    request.set("second")
    with asking("me", "the looking"):
        job.watch()
    request.set(None)
    work.finish()
    job.wait(SLOW)
    assert {who for _, who in found} == {Asker("me", job.name)}
    assert found[0][0] == "first" and found[-1][0] == "second"


def test_work_for_everyone_needs_no_page(clock):
    jobs, work = Jobs(lasting=True, clock=clock), Work()
    job = jobs.start(Job("loading", work))
    clock.now += 10 * ORPHANED
    assert job.wanted()
    work.finish()
    assert job.outcome() == "done"


def test_watching_tells_what_is_new_and_counts_as_a_page(jobs, clock):
    work = Work(2)
    job = jobs.start(Job("counting", work))
    looks = job.watching()
    clock.now += ORPHANED - 1
    first = next(looks)
    clock.now += ORPHANED - 1
    assert job.wanted() and isinstance(first, Progress)
    work.finish()
    rest = list(looks)
    assert len(rest) <= 5  # nothing twice
    assert job.outcome() == "done" and list(job.watching()) == []


def test_who_stops_watching_has_left(jobs, clock):
    job = jobs.start(Job("counting", Work()))
    looks = job.watching()
    next(looks)
    looks.close()
    clock.now += ORPHANED + 1
    assert not job.wanted()


def test_it_is_kept_for_an_hour_after_it_was_asked_for_and_goes_with_its_folder(jobs, clock):
    job = over(jobs.start(Job("short", Work(0))))
    folder = job.folder
    (folder / "trace").touch()
    clock.now += KEPT_SECONDS - 1
    assert jobs.find(job.name) is job
    clock.now += KEPT_SECONDS - 1
    jobs.keep(Job("to look at"))
    assert folder.is_dir()
    clock.now += 2
    assert jobs._sweep.daemon and jobs._sweep.function == jobs.sweep  # as it does by itself
    jobs.sweep()
    assert jobs.find(job.name) is None and not folder.exists()


def test_what_makes_room_is_ended_before_its_folder_goes():
    jobs, work = Jobs(kept=1), Work()
    job = jobs.start(Job("counting", work))
    work._taken.acquire(timeout=SLOW)
    folder = job.folder
    jobs.keep(Job("to look at"))
    assert folder.is_dir()  # it is still written to
    work._free.release()
    assert over(job).state == STOPPED and not folder.exists()


def test_sentences_are_said_with_their_subject():
    def steps():
        yield Progress("reading", 0.5)
        return 4

    assert list(told("Loading x: ", steps(), ".")) == [Progress("Loading x: reading.", 0.5)]
    assert result_of(told("", steps())) == 4


def test_a_call_tells_what_it_does():
    said, go_on = threading.Event(), threading.Event()

    def call(report):
        report("half way")
        said.set()
        assert go_on.wait(SLOW)
        return 7

    steps = reporting("beginning", call)
    heard = [next(steps)]
    said.wait(SLOW)
    heard.append(next(steps))
    go_on.set()
    assert result_of(steps) == 7
    assert heard[-1] == Progress("half way")
    with pytest.raises(ZeroDivisionError):
        result_of(reporting("failing", lambda report: 1 / 0))


def test_the_steps_of_a_job_are_steps_of_who_needs_it(jobs):
    work = Work(1)
    job = jobs.start(Job("loading", work))
    steps = job.steps()
    assert isinstance(next(steps), Progress)
    work.finish()
    assert result_of(steps) == "done" == result_of(job.steps())
