"""The searches of all visitors: one runs, the others wait in a line; a page only looks on.

A search has a name that cannot be guessed, which the browser keeps, so that a reload finds it
again. When no page has looked at it for `ORPHANED` seconds it ends, and what it found is kept.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from demo.search.fit import labels_of
from demo.search.job import (
    ESTIMATED,
    FAILED,
    FINISHED,
    PREPARING,
    RECIPE,
    REPLAY,
    SEARCHING,
    STOPPED,
    Clock,
    Job,
)
from demo.search.request import SearchRequest
from demo.search.work import Ready, Stopped, work
from demo.server.library import Library

if TYPE_CHECKING:
    from setar_core.recipe import Recipe
    from setar_core.search.trial import Trial

KEPT_SECONDS = 3600.0
KEPT_JOBS = 40
LONGEST_LINE = 10
LOOK_EVERY = 0.25  # seconds between two looks of a waiting search


class Jobs:
    """Every search that is kept, running or over."""

    def __init__(self, library: Library, clock: Clock = time.monotonic) -> None:
        self.library = library
        self.clock = clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()

    def start(self, request: SearchRequest, page: str) -> Job:
        """A new search, at the end of the line.

        Raises:
            ValueError: the line is too long.
        """
        with self._changed:
            line = sum(job.active for job in self._jobs.values())
        if line >= LONGEST_LINE:
            raise ValueError(f"{line} searches are waiting already; try again in a few minutes")
        job = Job(request, self.clock)
        self._keep(job)
        self.watch(job, page)
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return job

    def replay(self, trials: list[Trial], text: str, page: str) -> Job:
        """A trace to look at, kept like a search that is over."""
        job = Job(None, self.clock)
        job.trials, job.state, job.labels = list(trials), REPLAY, labels_of(text)
        job.began = job.ended = self.clock()
        job.trace.write_text(text, encoding="utf-8")
        self._keep(job)
        self.watch(job, page)
        return job

    def show(self, recipe: Recipe, page: str) -> Job:
        """An uploaded recipe to look at, to use and to download."""
        job = Job(None, self.clock)
        job.uploaded, job.state = recipe, RECIPE
        job.began = job.ended = self.clock()
        self._keep(job)
        self.watch(job, page)
        return job

    def watch(self, job: Job, page: str) -> None:
        """A page looks at one search at a time."""
        with self._changed:
            others = [other for other in self._jobs.values() if other is not job]
        for other in others:
            other.leave(page)
        job.watch(page)

    def find(self, name: object) -> Job | None:
        """The search, or None when it is not kept any more."""
        with self._changed:
            return self._jobs.get(name) if isinstance(name, str) else None

    def leave(self, page: str) -> None:
        """A page is closed."""
        with self._changed:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.leave(page)

    def before(self, job: Job) -> list[Job]:
        """The searches that come first, the running one at the head."""
        with self._changed:
            return self._before(job)

    def _before(self, job: Job) -> list[Job]:
        line = []
        for other in self._jobs.values():
            if other is job:
                break
            if other.active:
                line.append(other)
        return line

    def _keep(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.name] = job
            now = self.clock()
            over = [other for other in self._jobs.values() if other.ended is not None]
            for other in over:
                if len(self._jobs) > KEPT_JOBS or now - other.ended > KEPT_SECONDS:
                    del self._jobs[other.name]
                    shutil.rmtree(other.folder, ignore_errors=True)

    def _run(self, job: Job) -> None:
        state = FINISHED
        try:
            self._wait(job)
            job.state = PREPARING
            job.began = self.clock()
            steps = work(self.library, job.request, job.trace, job.tell, job.wanted)
            for step in steps:
                if isinstance(step, Ready):
                    job.ready = step
                else:
                    job.trials.append(step)
                    job.state = SEARCHING
            state = ESTIMATED if job.request.only_estimate else FINISHED
        except Stopped:
            state = STOPPED
        except ValueError as error:
            job.problem, state = str(error), FAILED
        except BaseException:  # a fault of ours: the page must not wait for it for ever
            job.problem, state = "the search broke off by a fault of this app", FAILED
            raise
        finally:
            job.ended = self.clock()
            with self._changed:
                job.state = state
                self._changed.notify_all()

    def _wait(self, job: Job) -> None:
        """Until no search is before this one.

        Raises:
            Stopped: it is not wanted any more.
        """
        with self._changed:
            while self._before(job):
                if not job.wanted():
                    raise Stopped
                self._changed.wait(LOOK_EVERY)
