"""The one home of long work: loading, judging, searching, measuring.

Work is a generator: it yields its `Progress`, and events of its own that hold what to keep if it
ended now, and returns its result. A job runs it in a thread of its own, whoever looks on, and can
end it between two yields. `Jobs` is the line of one kind of work.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from demo.server.store import Store

NEW, WAITING, RUNNING = "new", "waiting", "running"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
ORPHANED = 30.0  # seconds without a page
SILENT = 90.0  # the same of pages that never left; a tab out of sight may ask once a minute
KEPT_SECONDS = 3600.0  # since it was last asked for
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
        events: what the work yielded besides its progress.
        problem: why it failed, in words.
        orphaned: it was stopped because no page looked on.
    """

    def __init__(self, title: str, work: Callable[[], Steps[Result]] | None = None) -> None:
        self.name = Store.new_name()
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
        self._pages: set[str] = set()
        self._looked = 0.0
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

    def watch(self, page: str) -> None:
        """A page looks on."""
        with self._changed:
            self._pages.add(page)
            self._looked = self._clock()

    def leave(self, page: str) -> None:
        """A page is closed, or shows something else now."""
        with self._changed:
            if page in self._pages:
                self._pages.discard(page)
                self._looked = self._clock()

    def stop(self) -> None:
        """End it at its next step; `Jobs.stop` also takes it out of the line."""
        self._stop.set()

    def wanted(self) -> bool:
        """False once it was stopped, or every page has been gone for too long."""
        with self._changed:
            limit = SILENT if self._pages else ORPHANED
            if not self._lasting and self._clock() - self._looked > limit:
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

        Who iterates counts as a page that looks on.
        """
        page, shown = Store.new_name(), None
        try:
            while self.active:
                self.watch(page)
                if self.seen != shown:
                    shown = self.seen
                    yield self.progress
                self.wait(LOOK)
        finally:
            self.leave(page)

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
        self.progress, self.state = Progress(sentence), WAITING

    def _run(self) -> None:
        state = FAILED
        try:
            assert self._work is not None, "nothing is run of what is only kept"
            steps = self._work()
            try:
                while self.wanted():
                    self._note(next(steps))
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

    def _note(self, event: Any) -> None:
        if isinstance(event, Progress):
            self.progress = event
        else:
            self.events.append(event)

    def _end(self, state: str) -> None:
        with self._changed:
            self.ended, self.state = self._clock(), state
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
        full: what is said to one more, of its `title`, their `count` and their `titles`.
        waiting: what is said of one that waits.
        kept: how many can be found again by their names.
        lasting: they go on when no page looks on.
    """

    def __init__(
        self,
        at_once: float = 1,
        longest: float = 10,
        full: str = "{count} others are waiting already; try again in a few minutes",
        waiting: str = "waiting for others to end",
        kept: int = 0,
        lasting: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.at_once, self.longest = at_once, longest
        self.full, self.waiting = full, waiting
        self.lasting = lasting
        self.clock = clock
        self._line: list[JobT] = []  # in the order of asking
        self._kept = Store[JobT](kept, Job.discard)
        self._lock = threading.RLock()

    def start(self, job: JobT, page: str | None = None) -> JobT:
        """Put it at the end of the line; one that is over goes on as its work does.

        Raises:
            ValueError: the line is too long.
        """
        with self._lock:
            self._advance()
            if len(self._line) >= self.longest:
                titles = ", ".join(other.title for other in self._line)
                raise ValueError(
                    self.full.format(title=job.title, count=len(self._line), titles=titles)
                )
            job._enter(self.waiting, self.clock, self.lasting)
            self._line.append(job)
            self.keep(job, page)
            self._advance()
        return job

    def keep(self, job: JobT, page: str | None = None) -> None:
        """So that it is found again; nothing is run."""
        now = job.asked = self.clock()
        for name, other in self._kept.items():
            if not other.active and now - other.asked > KEPT_SECONDS:
                self._kept.drop(name)
        if self._kept.size:
            self._kept.put(job.name, job)
        if page is not None:
            self.watch(job, page)

    def find(self, name: object) -> JobT | None:
        """The job, or None when it is not kept any more; a browser may send anything."""
        job = self._kept.find(name)
        if job is not None:
            job.asked = self.clock()
        return job

    def watch(self, job: JobT, page: str) -> None:
        """A page looks at one job at a time."""
        for _, other in self._kept.items():
            if other is not job:
                other.leave(page)
        job.watch(page)

    def leave(self, page: str) -> None:
        """A page is closed."""
        for _, job in self._kept.items():
            job.leave(page)

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
            free = self.at_once - sum(job.state == RUNNING for job in self._line)
            for job in self._line:
                if job.state == WAITING and free > 0:
                    free -= 1
                    job.progress = Progress("Getting ready")
                    job.began, job.state = self.clock(), RUNNING
                    threading.Thread(target=self._run, args=(job,), daemon=True).start()

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

    threading.Thread(target=run, daemon=True).start()
    while not wait([future], LOOK).done:
        yield Progress(sentences[-1])
    return future.result()
