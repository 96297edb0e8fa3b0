"""Several processes that do one piece of work, as `torchrun` starts them; alone, nothing changes.

All of them run the same code and decide alike: what one alone knows, the others are given. The
first one speaks and writes. A process that dies ends the others, with one sentence in all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from .place import Place

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Value = TypeVar("Value")

PATIENCE = timedelta(days=1)  # for a process that works; one that ends is noticed at once
ALIKE = 60.0  # seconds in which all processes refuse what one refuses


class Broken(OSError):
    """Another process of this run has ended."""


@dataclass(frozen=True)
class Ranks:
    """This process's number among so many, in all and on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0
    here: int = 1
    store: Any = field(default=None, repr=False, compare=False)  # of what all processes see

    @property
    def leads(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def gathered(self, value: Value) -> list[Value]:
        """Every process's value, in their order, in each of them.

        Raises:
            Broken: a process has ended.
        """
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with heeded():
            _distributed().all_gather_object(found, value)
        return found

    def collected(self, value: Value) -> list[Value]:
        """Every process's value, in their order, in the first process; none in the others."""
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.leads else None
        with heeded():
            _distributed().gather_object(value, found)
        return found or []

    def agreed(self, value: Value) -> Value:
        """The first process's value."""
        if self.size == 1:
            return value
        found: list[Any] = [value if self.leads else None]
        with heeded():
            _distributed().broadcast_object_list(found)
        return found[0]

    def first(self, work: Callable[[], Value]) -> Value:
        """What `work` gives in the first process, which alone does it, before any goes on."""
        return self.agreed(work() if self.leads else None)  # type: ignore[return-value]

    def check_same(self, what: str, value: object) -> None:
        """Raises ValueError where not all processes have the same."""
        every = self.gathered(value)
        if other := next((i for i, one in enumerate(every) if one != every[0]), None):
            raise ValueError(f"{what} of process {other} differ from those of the first one")

    def mine(self, count: int, block: int) -> Sequence[int]:
        """The places of this process's items of so many: blocks of them in turn."""
        if self.size == 1:
            return range(count)
        starts = range(self.rank * block, count, max(1, self.size * block))
        return [i for start in starts for i in range(start, min(start + block, count))]

    def turns(self, parts: Iterable[Item], everywhere: bool = True) -> Iterator[Item]:
        """The parts of all processes as they come, in each of them, or in the first alone."""
        if self.size == 1:
            yield from parts
            return
        rest = iter(parts)
        while any(self.gathered((part := next(rest, None)) is not None)):
            every = self.gathered(part) if everywhere else self.collected(part)
            yield from (one for one in every if one is not None)

    def share(self, memory: int, device: torch.device) -> int:
        """Bytes that this process may take of those that are free."""
        return memory // self.here if device.type == "cpu" else memory

    def refused(self, error: BaseException, piece: str) -> None:
        """All refuse the same piece of work, and go on alike.

        Raises:
            Broken: this process refuses it alone; the others are in the middle of it.
        """
        if self.size == 1:
            return
        until = time.monotonic() + ALIKE
        count = self.store.add(f"refused/{piece}", 1)
        while count < self.size:
            if time.monotonic() > until:
                raise Broken(f"{error} (in process {self.rank} of {self.size} alone)")
            time.sleep(0.05)
            count = self.store.add(f"refused/{piece}", 0)

    def has_last_word(self) -> bool:
        """Whether no process has ended with an error before; to be asked by one that does."""
        try:
            return self.size == 1 or self.store.add("ended", 1) == 1
        except RuntimeError:  # where it lay is gone too
            return True


SINGLE = Ranks()


@contextmanager
def joined(place: Place | None) -> Generator[Ranks, None, None]:
    """This process among the others, once all of them are there.

    On a processor each takes its share of the cores, unless OMP_NUM_THREADS says how many.

    Raises:
        Broken: they cannot be reached.
    """
    if place is None:
        yield SINGLE
        return
    import os

    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # it has pages to say of one that ends
    import torch

    from .workers import share_cores

    dist = _distributed()
    first = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    if "OMP_NUM_THREADS" not in os.environ:
        share_cores(place.here)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        every = dist.TCPStore(place.address, place.port, place.size, first, timedelta(minutes=5))
        store = dist.PrefixStore(f"setar/{place.attempt}", every)  # what an earlier one left stays
        dist.init_process_group(
            backend,
            store=dist.PrefixStore("group", store),
            rank=place.rank,
            world_size=place.size,
            timeout=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise Broken(
            f"process {place.rank} cannot reach the others at {place.address}:{place.port} "
            f"({reason}); start them together"
        ) from None
    yield Ranks(place.rank, place.size, place.local, place.here, dist.PrefixStore("seen", store))
    dist.destroy_process_group()  # after an error it would wait for the others


@contextmanager
def heeded() -> Generator[None, None, None]:
    """In it, what PyTorch raises for a process that has ended is `Broken`."""
    try:
        yield
    except RuntimeError as error:
        reason = re.sub(r"\[.*?\]|<.*", "", " ".join(str(error).split()))[:80].strip()
        raise Broken(
            f"another process of this run has ended ({reason}); --resume goes on from what is "
            "written, with any number of processes"
        ) from None


def _distributed() -> Any:
    import torch.distributed

    return torch.distributed
