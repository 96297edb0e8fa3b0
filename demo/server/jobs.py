"""The one home of long work: loading, judging, searching, measuring.

Work is a generator: it yields its `Progress`, and events of its own that hold what to keep if it
ended now, and returns its result. A job runs it in a thread of its own, whoever looks on, and can
end it between two yields. `Jobs` is the line of one kind of work.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from demo.server.limits import KEPT_SECONDS, ORPHANED
from demo.server.store import Store
from demo.server.visitors import Asker, asker, visitor

NEW, WAITING, RUNNING = "new", "waiting", "running"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
LOOK = 0.2  # seconds between two looks at work that goes on

Result = TypeVar("Result")
JobT = TypeVar("JobT", bound="Job[Any]")
Steps = Generator[Any, None, Result]
Clock = Callable[[], float]


class Progress(NamedTuple):
    """What is going on, in words; `share` of it that is done, in [0, 1], where that is known."""

    sentence: str
    share: float | None = None


class Job(Generic[Result]):
    """One piece of long work, from its place in the line to its result.

    Attributes:
        name: what a browser holds of it; cannot be guessed.
        visitor: who asked for it.
        events: what the work yielded besides its progress.
        problem: why it failed, in words.
        orphaned: it was stopped because nobody looked on.
    """

    def __init__(self, title: str, work: Callable[[], Steps[Result]] | None = None) -> None:
        self.name = Store.new_name()
        self.visitor = ""
        self.title = title
        self.state = FINISHED if work is None else NEW
        self.progress = Progress("")
        self.events: list[Any] = []
        self.result: Result | None = None
        self.problem = ""
        self.orphaned = False
        self.began: float | None = None
        self.ended: float | None = None
        self.asked = 0.0
        self._work = work
        self._lasting = False
        self._clock: Clock = time.monotonic
        self._looked = 0.0
        self._context = Context()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._folder: tempfile.TemporaryDirectory | None = None
        self._discarded = False

    @property
    def active(self) -> bool:
        return self.state in (WAITING, RUNNING)

    @property
    def stopping(self) -> bool:
        return self.active and self._stop.is_set()

    @property
    def usable(self) -> bool:
        """Whether its result is there or will be."""
        return self.state == FINISHED or (self.active and not self._stop.is_set())

    @property
    def elapsed(self) -> float:
        """Seconds since it left the line, until it ended."""
        if self.began is None:
            return 0.0
        return (self._clock() if self.ended is None else self.ended) - self.began

    @property
    def seen(self) -> tuple:
        """Changes whenever a page has something new to show."""
        return (self.state, self.progress, len(self.events), self.stopping)

    @property
    def folder(self) -> Path:
        """A folder of its own, deleted with it."""
        with self._changed:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(
                    prefix="job-", ignore_cleanup_errors=True
                )
            return Path(self._folder.name)

    def watch(self) -> None:
        """Somebody looks on, and it goes on in the context of his request; who does not again
        within `ORPHANED` seconds is gone."""
        self._looked, self._context = self._clock(), copy_context()

    def stop(self) -> None:
        """End it at its next step; `Jobs.stop` also takes it out of the line."""
        self._stop.set()

    def wanted(self) -> bool:
        """False once it was stopped, or nobody has looked on for too long."""
        if not self._lasting and self._clock() - self._looked > ORPHANED:
            self.orphaned = True
            self._stop.set()
        return not self._stop.is_set()

    def wait(self, seconds: float | None = None) -> None:
        """Until it is over, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self.active, seconds)

    def outcome(self) -> Result:
        """The result, waited for.

        Raises:
            ValueError: why there is none.
        """
        self.wait()
        if self.state != FINISHED:
            raise ValueError(self.problem or f"{self.title} was stopped before its end")
        return cast("Result", self.result)

    def steps(self) -> Steps[Result]:
        """Its progress as steps of the work that needs its result.

        Raises:
            ValueError: why there is none.
        """
        while self.active:
            yield self.progress
            self.wait(LOOK)
        return self.outcome()

    def watching(self) -> Iterator[Progress]:
        """Its progress whenever there is something new to show, until it is over.

        Who iterates looks on.
        """
        shown = None
        while self.active:
            self.watch()
            if self.seen != shown:
                shown = self.seen
                yield self.progress
            self.wait(LOOK)

    def discard(self) -> None:
        """End it, and delete its folder."""
        self.stop()
        with self._changed:
            self._discarded = True
            if not self.active:
                self._cleanup()

    def _enter(self, sentence: str, clock: Clock, lasting: bool) -> None:
        """Take its place in a line, for the first time or to go on."""
        self._clock, self._lasting = clock, lasting
        self._stop.clear()
        self.orphaned = self._discarded = False
        self.problem, self.events = "", []
        self.began = self.ended = None
        self.asked = self._looked = clock()
        self._context = copy_context()
        self.progress, self.state = Progress(sentence), WAITING

    def _run(self) -> None:
        state = FAILED
        try:
            assert self._work is not None, "nothing is run of what is only kept"
            steps = self._work()
            try:
                while self.wanted():
                    self._note(self._context.run(self._next, steps))
                state = STOPPED
            finally:
                steps.close()
        except StopIteration as end:
            self.result, state = end.value, FINISHED
        except ValueError as error:
            self.problem = str(error)
        except BaseException:  # a fault of ours: the page must not wait for it for ever
            self.problem = f"{self.title} broke off by a fault of this app"
            raise
        finally:
            self._end(state)

    def _next(self, steps: Steps[Result]) -> Any:
        asker.set(Asker(self.visitor, self.name))
        return next(steps)

    def _note(self, event: Any) -> None:
        if isinstance(event, Progress):
            self.progress = event
        else:
            self.events.append(event)

    def _end(self, state: str) -> None:
        with self._changed:
            self.ended, self.state, self._context = self._clock(), state, Context()
            if self._discarded:
                self._cleanup()
            self._changed.notify_all()

    def _cleanup(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class Jobs(Generic[JobT]):
    """The line of one kind of work, and the last of it, kept for an hour.

    Args:
        at_once: how many run; the others wait.
        longest: how many may wait or run.
        each: how many of them may be one visitor's; where several run, half of these may.
        full: what is said to one more, of its `title`, their `count` and their `titles`.
        waiting: what is said of one that waits.
        kept: how many can be found again by their names.
        lasting: they go on when nobody looks on.
    """

    def __init__(
        self,
        at_once: float = 1,
        longest: float = 10,
        each: float = math.inf,
        full: str = "{count} others are waiting already; try again in a few minutes",
        waiting: str = "waiting for others to end",
        kept: int = 0,
        lasting: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.at_once, self.longest, self.each = at_once, longest, each
        self.full, self.waiting = full, waiting
        self.lasting = lasting
        self.clock = clock
        self._line: list[JobT] = []  # in the order of asking
        self._kept = Store[JobT](kept, Job.discard)
        self._lock = threading.RLock()
        self._sweep: threading.Timer | None = None

    def start(self, job: JobT, owner: str | None = None) -> JobT:
        """Put it at the end of the line; one that is over goes on as its work does.

        Its `owner` is the visitor who asks, where no other is named.

        Raises:
            ValueError: the line is too long, or too many in it are the visitor's own.
        """
        owner = visitor() if owner is None else owner
        with self._lock:
            self._advance()
            mine = sum(other.visitor == owner for other in self._line)
            if mine >= self.each:
                raise ValueError(
                    f"{mine} of your own are running or waiting already; wait until one has "
                    "ended, or stop one"
                )
            if len(self._line) >= self.longest:
                titles = ", ".join(other.title for other in self._line)
                raise ValueError(
                    self.full.format(title=job.title, count=len(self._line), titles=titles)
                )
            job._enter(self.waiting, self.clock, self.lasting)
            self._line.append(job)
            self.keep(job, owner)
            self._advance()
        return job

    def keep(self, job: JobT, owner: str | None = None) -> None:
        """So that it is found again; nothing is run."""
        job.visitor = visitor() if owner is None else owner
        job.asked = self.clock()
        if self._kept.size:
            self._kept.put(job.name, job, job.visitor)
        self.sweep()

    def sweep(self) -> None:
        """Drop what nobody has asked for in its hour; while any is kept, again and again."""
        with self._lock:
            for name, job in self._kept.items():
                if not job.active and self.clock() - job.asked > KEPT_SECONDS:
                    self._kept.drop(name)
            if self._sweep is not None:
                self._sweep.cancel()
                self._sweep = None
            if self._kept.items():
                self._sweep = threading.Timer(KEPT_SECONDS / 4, self.sweep)
                self._sweep.daemon = True
                self._sweep.start()

    def find(self, name: object) -> JobT | None:
        """The job, or None when it is not kept any more; a browser may send anything."""
        job = self._kept.find(name)
        if job is not None:
            job.asked = self.clock()
        return job

    def stop(self, job: JobT) -> None:
        """End it at its next step, or now where it waits."""
        job.stop()
        self._advance()

    def before(self, job: JobT) -> list[JobT]:
        """Those that come first, the running ones at the head."""
        self._advance()
        with self._lock:
            return self._line[: self._line.index(job)] if job in self._line else []

    def _advance(self) -> None:
        """Let go of who is over or does not wait any more, and begin with who is next."""
        with self._lock:
            for job in self._line:
                if job.state == WAITING and not job.wanted():
                    job._end(STOPPED)
            self._line = [job for job in self._line if job.active]
            running = Counter(job.visitor for job in self._line if job.state == RUNNING)
            for job in self._line:
                if job.state == WAITING and self._may_run(running, job.visitor):
                    running[job.visitor] += 1
                    job.progress = Progress("Getting ready")
                    job.began, job.state = self.clock(), RUNNING
                    threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _may_run(self, running: Counter[str], owner: str) -> bool:
        shared = self.each < math.inf and self.at_once > 1
        return running.total() < self.at_once and not (
            shared and running[owner] >= self.at_once // 2
        )

    def _run(self, job: JobT) -> None:
        try:
            job._run()
        finally:
            self._advance()


def result_of(steps: Steps[Result]) -> Result:
    """What the work gives, run here and now to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def each(steps: Generator[Any, None, Result], say: Callable[[Any], Any]) -> Steps[Result]:
    """The same work, its every step said otherwise."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            yield say(step)


def told(before: str, steps: Steps[Result], after: str = "") -> Steps[Result]:
    """The same work, its sentences between these words."""
    return each(steps, lambda step: Progress(f"{before}{step.sentence}{after}", step.share))


def reporting(sentence: str, call: Callable[[Callable[[str], None]], Result]) -> Steps[Result]:
    """A call that tells a callback what it does, as steps; once begun it goes on to its end."""
    sentences = deque([sentence], maxlen=1)
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call(sentences.append))
        except BaseException as error:  # raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    while not wait([future], LOOK).done:
        yield Progress(sentences[-1])
    return future.result()
