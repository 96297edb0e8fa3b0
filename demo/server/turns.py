"""One piece of network work at a time, whoever asked for it, in the order of asking.

`TurnQueue.run` is the only door to the device: what must hold of every such call is said there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from setar_core.memory import plain_if_full

Args = ParamSpec("Args")
Result = TypeVar("Result")


class TurnQueue:
    """A lock that can say what it is held for and how many wait; who asked first goes first.

    A turn is a second or two. Long work takes it piece by piece, and between two pieces everyone
    who waits has a turn.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[object] = deque()  # the first holds the turn
        self._what: str | None = None

    def run(
        self, what: str, fn: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """What `fn` gives when its turn has come; `what` it does is told meanwhile.

        Raises:
            ValueError: as `fn` does, or memory ran out.
        """
        with self._turn(what), plain_if_full(what):
            return fn(*args, **kwargs)

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        ticket = object()
        with self._changed:
            self._line.append(ticket)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._line[0] is ticket)
                self._what = what
            yield
        finally:
            with self._changed:
                if self._line[0] is ticket:
                    self._what = None
                self._line.remove(ticket)
                self._changed.notify_all()

    def running(self) -> list[str]:
        """What runs now, and how many wait, in words; empty when nothing does."""
        with self._changed:
            what, waiting = self._what, max(0, len(self._line) - 1)
        return ([what] if what else []) + [f"{waiting} waiting"] * (waiting > 0)
