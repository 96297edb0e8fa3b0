"""The one store of what visitors share or come back to: bounded, locked, least recently used."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from demo.server.visitors import visitor

Value = TypeVar("Value")


class Store(Generic[Value]):
    """The last values by name. Where there is no room, the visitor who has most in it loses what
    he did not ask for longest, so that nobody drives out what is another's.

    A browser holds a name of `new_name()` and nothing else, so that nobody finds another's values.

    Args:
        size: how many are kept; a value counts as many as its `cost`.
        gone: is told of each value that was kept and is not any more.
    """

    def __init__(
        self,
        size: int,
        gone: Callable[[Value], object] | None = None,
        cost: Callable[[Value], int] = lambda value: 1,
    ) -> None:
        self.size = size
        self._cost = cost
        self._gone = gone or (lambda value: None)
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._owners: dict[Hashable, tuple[str, int]] = {}  # and what each value costs
        self._lock = threading.RLock()

    @staticmethod
    def new_name() -> str:
        """A name that cannot be guessed."""
        return secrets.token_urlsafe(18)

    def put(self, name: Hashable, value: Value, owner: str | None = None) -> None:
        """Keep it; `owner` is the visitor who asks, where no other is named."""
        with self._lock:
            before = self._values.pop(name, value)
            self._values[name] = value
            self._owners[name] = visitor() if owner is None else owner, self._cost(value)
            gone = [] if before is value else [before]
            while sum(cost for _, cost in self._owners.values()) > self.size:
                gone.append(self._pop(self._excess()))
        for old in gone:
            self._gone(old)

    def find(self, name: object) -> Value | None:
        """The value, or None where none of that name is kept; a browser may send anything."""
        if not isinstance(name, Hashable):
            return None
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
            return self._values.get(name)

    def drop(self, name: object) -> None:
        """Forget the value; a name of none drops nothing."""
        if not isinstance(name, Hashable):
            return
        with self._lock:
            found = [self._pop(name)] if name in self._values else []
        for value in found:
            self._gone(value)

    def items(self) -> list[tuple[Hashable, Value]]:
        """All that is kept, the least recently used first."""
        with self._lock:
            return list(self._values.items())

    def _excess(self) -> Hashable:
        counts: Counter[str] = Counter()
        for owner, cost in self._owners.values():
            counts[owner] += cost
        most = max(counts.values())
        return next(name for name in self._values if counts[self._owners[name][0]] == most)

    def _pop(self, name: Hashable) -> Value:
        del self._owners[name]
        return self._values.pop(name)
