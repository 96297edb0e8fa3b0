"""Any number of names, packed: a million take little more than their letters."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np


class Names(Sequence[str]):
    """Names in one order: their bytes and where each ends.

    To be found by name, each takes 16 bytes more from then on.
    """

    def __init__(self, names: Iterable[str | os.PathLike[str]]) -> None:
        self._bytes, ends = bytearray(), array("q", [0])
        for name in names:
            self._bytes += os.fsencode(name)
            ends.append(len(self._bytes))
        self._ends = np.frombuffer(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        return os.fsdecode(self._raw(range(len(self))[place]))

    def __iter__(self) -> Iterator[str]:
        return (os.fsdecode(self._raw(place)) for place in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.place(name) is not None

    def place(self, name: str) -> int | None:
        """Where the name is first; None where it is not."""
        try:
            wanted = os.fsencode(name)
        except UnicodeError:  # of a file that anybody may have written
            return None
        hashes, order = self._sorted
        value = hash(wanted)
        for at in range(int(np.searchsorted(hashes, value)), len(hashes)):
            if hashes[at] != value:
                break
            if self._raw(int(order[at])) == wanted:
                return int(order[at])
        return None

    @cached_property
    def first(self) -> np.ndarray:
        """`(n,)`, whether a name is there for the first time."""
        hashes, order = self._sorted
        first = np.ones(len(self), dtype=bool)
        for at in (np.flatnonzero(hashes[1:] == hashes[:-1]) + 1).tolist():
            place = int(order[at])
            first[place] = self.place(self[place]) == place
        return first

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """The names' hashes in rising order, and whose each is; equal ones in the names' order."""
        each = (hash(self._raw(place)) for place in range(len(self)))
        hashes = np.fromiter(each, np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def _raw(self, place: int) -> bytes:
        return bytes(self._bytes[self._ends[place] : self._ends[place + 1]])


class Paths(Sequence[Path]):
    """Some of `Names`, or all of them, as paths."""

    def __init__(self, names: Names, places: np.ndarray | None = None) -> None:
        self.names = names
        self._places = np.arange(len(names), dtype=np.int64) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Path: ...

    @overload
    def __getitem__(self, place: slice) -> Paths: ...

    def __getitem__(self, place: int | slice) -> Path | Paths:
        if isinstance(place, slice):
            return Paths(self.names, self._places[place])
        return Path(self.names[int(self._places[place])])

    def __iter__(self) -> Iterator[Path]:
        return (Path(self.names[place]) for place in map(int, self._places))
