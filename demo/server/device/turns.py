"""One piece of network work at a time, whoever asked for it, each in his fair share.

`TurnQueue.run` is the only door to the device: what must hold of every such call is said there. All
of it runs in one thread, since PyTorch keeps memory, and threads of its own, for each that asks it.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

from demo.server.device import heap
from demo.server.visitors import Asker, asker
from setar_core.memory import plain_if_full

Args = ParamSpec("Args")
Step = TypeVar("Step")
Result = TypeVar("Result")

HALF = 10.0  # seconds after which half of what was used is forgotten
PIECE = 0.25  # seconds that a turn of many small steps takes
FORGOTTEN = 1e-3  # seconds
ENDING = 5.0  # seconds for the last turn
QUIET = 5.0  # seconds without work, after which memory is given back


class TurnQueue:
    """A lock that can say what it is held for and how many wait.

    A turn is a second or two; long work takes it piece by piece. Who asked first goes first, but
    counts as having asked as many seconds later as his work, and all of his visitor's, have used
    of late. So what is small goes before what is large, and nobody waits for ever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._what: str | None = None  # while the turn is held
        self._used: dict[Hashable, tuple[float, float]] = {}  # seconds, and when that was
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        thread = threading.Thread(target=self._serve, name="device", daemon=True)
        thread.start()
        atexit.register(self._end, thread)

    def run(
        self, what: str, fn: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """What `fn` gives when its turn has come; `what` it does is told meanwhile.

        Raises:
            ValueError: as `fn` does, or memory ran out.
        """
        future: Future[Result] = Future()
        context = copy_context()

        def call() -> None:
            try:
                future.set_result(context.run(fn, *args, **kwargs))
            except BaseException as error:  # raised where it is awaited
                future.set_exception(error)

        with self._turn(what), plain_if_full(what):
            self._calls.put(call)
            return future.result()

    def steps(
        self, what: str, steps: Generator[Step, None, Result]
    ) -> Generator[Step, None, Result]:
        """Some steps of a generator a turn, and the last of them."""

        def some() -> Step:
            until, step = self._clock() + PIECE, next(steps)
            while self._clock() < until:
                step = next(steps)
            return step

        with closing(steps):
            while True:
                try:
                    step = self.run(what, some)
                except StopIteration as end:
                    return end.value
                yield step

    def running(self) -> list[str]:
        """What runs now, and how many wait, in words; empty when nothing does."""
        with self._changed:
            what, waiting = self._what, len(self._waiting)
        return ([what] if what else []) + [f"{waiting} waiting"] * (waiting > 0)

    def _end(self, thread: threading.Thread) -> None:
        """Let the turn end that runs: PyTorch aborts a program that ends under its work."""
        self._calls.put(sys.exit)
        thread.join(ENDING)

    def _serve(self) -> None:
        """Does what is called for; gives memory back when there was nothing to do for a while."""
        worked = False
        while True:
            try:
                call = self._calls.get(timeout=QUIET if worked else None)
            except Empty:
                heap.trim()
                worked = False
            else:
                call()
                del call  # and what it holds
                worked = True

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        ticket = _Ticket(asker.get(), self._clock())
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._what is None and self._next() is ticket)
                self._what = what
            finally:
                self._waiting.remove(ticket)
        began = self._clock()
        try:
            yield
        finally:
            with self._changed:
                self._note(ticket.asker, self._clock() - began)
                self._what = None
                self._changed.notify_all()

    def _next(self) -> _Ticket:
        def due(ticket: _Ticket) -> float:
            return ticket.since + sum(map(self._recent, _accounts(ticket.asker)))

        return min(self._waiting, key=due)  # of equals the first

    def _recent(self, account: Hashable) -> float:
        seconds, then = self._used.get(account, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - then) / HALF)

    def _note(self, asker: Asker, seconds: float) -> None:
        """Forgets who has not asked for long."""
        now = self._clock()
        used = {account: self._recent(account) for account in self._used}
        for account in _accounts(asker):
            used[account] = used.get(account, 0.0) + seconds
        self._used = {a: (seconds, now) for a, seconds in used.items() if seconds > FORGOTTEN}


class _Ticket:
    def __init__(self, asker: Asker, since: float) -> None:
        self.asker, self.since = asker, since


def _accounts(asker: Asker) -> tuple[Hashable, Hashable]:
    """A visitor's, and that of his work."""
    return asker.visitor, asker
