"""What a search keeps within its memory: states inside the towers, and features of whole towers.

A state depends only on the weights below its position, as `Tower.part` counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from ..backbones.base import Backbone
from ..backbones.tower import Tower
from ..memory import written
from ..parallel.workers import Workers
from ..recipe import Site

Start = Callable[[], Any]


class StateCache:
    """States at some positions of one tower, each a list of chunks (images or prompts).

    What is not kept is run again from the nearest position below that is, at worst from the
    inputs; either way the values are the same.
    """

    def __init__(
        self, tower: Tower, starts: Sequence[Start], budget: int, workers: Workers
    ) -> None:
        """`starts` makes each chunk's state at position 0; `budget` is in bytes."""
        self.tower = tower
        self.starts = starts
        self.workers = workers
        self.budget = budget
        self.expected: list[int] = []
        self.reserved: set[int] = set()  # expected now or before, and not dropped since
        self.states: dict[int, list[Any]] = {}
        # bytes of all chunks at one position; no later position has more than the first
        self.unit = max(1, size(starts[0]()) * len(starts))

    @property
    def chunks(self) -> range:
        return range(len(self.starts))

    def expect(self, positions: Iterable[int]) -> None:
        """Which positions will be asked for; kept states above them all are dropped."""
        self.expected = sorted(set(positions))
        top = self.expected[-1] if self.expected else -1
        self.reserved = {p for p in self.reserved.union(self.expected) if p <= top}
        self._drop(top)

    def invalidate(self, position: int) -> None:
        """A weight at `position` is another now: the states above it are stale."""
        self._drop(position)

    def highest(self) -> int:
        """The position nearest to the end that is kept, or will be."""
        return max([*self.states, *self.expected], default=0)

    def prepare(self, position: int) -> None:
        """Keep the states at a position from now on, with others below, as the budget allows."""
        if position not in self.states and position in self.expected:
            self._hold(position)

    def state(self, position: int, chunk: int) -> Any:
        """A chunk's state at a position."""
        below = self._below(position)
        return self.tower.part(self._state(below, chunk), below, position)

    def free(self) -> int:
        """Bytes of the budget that remain beside all that may be kept.

        What is kept now does not matter, so that a search that was taken up decides alike.
        """
        return self.budget - min(self.budget // self.unit, len(self.reserved)) * self.unit

    def message(self) -> str:
        """What is kept and what is run again."""
        count, slots = len(self.expected), self.budget // self.unit
        need, budget = written(count * self.unit), written(self.budget)
        if slots >= count:
            return f"the inputs of all {count} searched places are kept ({need} of {budget})"
        return (
            f"{slots} of the {count} searched places' inputs are kept ({need} would not fit in "
            f"{budget}), the others are run again from the nearest one below"
        )

    def _hold(self, position: int) -> None:
        """Keep this position and, on the way to it, others that will be wanted."""
        free = self.budget - sum(size(chunks) for chunks in self.states.values())
        for other in sorted((p for p in self.states if p > position), reverse=True):
            if free >= self.unit:
                break
            free += size(self.states.pop(other))
        slots = free // self.unit
        if slots < 1:
            return
        below = self._below(position)
        between = [p for p in self.expected if below < p < position]
        places = (*spread(between, slots - 1), position)

        def passed(chunk: int) -> list[Any]:
            with self.workers.rounding():
                states = [self._state(below, chunk)]
                for first, last in pairwise((below, *places)):
                    states.append(self.tower.part(states[-1], first, last))
            return states[1:]

        chunks = list(self.workers.each(passed, self.chunks))
        self.states.update(zip(places, map(list, zip(*chunks, strict=True)), strict=True))

    def _drop(self, above: int) -> None:
        for position in [p for p in self.states if p > above]:
            del self.states[position]

    def _below(self, position: int) -> int:
        return max((p for p in self.states if p <= position), default=0)

    def _state(self, position: int, chunk: int) -> Any:
        kept = self.states.get(position)
        return self.starts[chunk]() if kept is None else kept[chunk]


class SplitMatrix:
    """A searched W_up taken apart: what it makes of every chunk, and what each component adds.

    A candidate takes the dropped components' share away, `W x - sum of u_k (s_k v_k^T x)`: a thin
    product in place of a whole one, and thinner still from one ratio to the next. Every count is
    reached through all that are below it: so sums are rounded alike, whichever was asked for first.
    """

    def __init__(
        self,
        site: Site,
        backbone: Backbone,
        ratios: Iterable[float],
        prune: str,
        once: bool = False,
    ) -> None:
        """`ratios` of the minor or principal components will be dropped; `once`: only one of them,
        so that nothing is kept."""
        self.site = site
        self.once = once
        parts = backbone.spectrum(site)
        self.counts = sorted({0, *map(parts.dropped, ratios)})
        most = self.counts[-1]
        self.tower = backbone.tower(site.tower)
        block = self.tower.sites()[site.block, site.weight]
        assert block is not None, f"{site} is in no block"
        self.block = block
        self.principal = prune == "principal"
        mine = slice(0, most) if self.principal else slice(parts.rank - most, None)
        self.u = parts.u[:, mine].T.contiguous()  # (most, out)
        self.sv = parts.s[mine, None] * parts.vh[mine]  # (most, in)
        self.outputs: dict[int, tuple[Tensor, Tensor]] = {}
        self.missing: dict[int, int] = {}  # components that each chunk's output lacks now

    def feed(self, number: int, state: Any, count: int) -> Any:
        """What the MLP makes of a chunk without `count` components.

        Raises:
            ValueError: no ratio drops so many.
        """
        if number not in self.outputs:
            x = self.tower.enter(self.block, state).flatten(0, -2)  # (tokens, in)
            self.outputs[number] = self.tower.up(self.block)(x), x @ self.sv.T
            self.missing[number] = 0
        hidden, shares = self.outputs[number]
        here, there = self.counts.index(self.missing[number]), self.counts.index(count)
        low, high = sorted((here, there))
        steps = list(pairwise(self.counts[low : high + 1]))
        for fewer, more in steps if here < there else reversed(steps):
            last = len(self.u)
            mine = slice(fewer, more) if self.principal else slice(last - more, last - fewer)
            hidden.addmm_(shares[:, mine], self.u[mine], alpha=-1 if here < there else 1)
        self.missing[number] = count
        if self.once:
            del self.outputs[number]
        return self.tower.leave(self.block, state, hidden.view(*state.shape[:-1], -1))


class FeatureCache:
    """What a whole tower made of all inputs, by what was dropped from it; the oldest go first."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.protected: Hashable = None
        self.rows: dict[Hashable, list[Any]] = {}
        self.sizes: dict[Hashable, int] = {}

    def get(self, key: Hashable) -> list[Any] | None:
        return self.rows.get(key)

    def put(self, key: Hashable, rows: list[Any], needed: bool = False) -> None:
        """Keep the rows if there is room; those that are `needed` in any case."""
        if needed:
            self.protected = key
        self.rows[key] = rows
        self.sizes[key] = size(rows)
        for old in [k for k in self.rows if k != self.protected]:
            if sum(self.sizes.values()) <= self.budget:
                break
            del self.rows[old], self.sizes[old]


def spread(positions: Sequence[int], count: int) -> list[int]:
    """`count` of the ascending positions at even distances."""
    if count >= len(positions):
        return list(positions)
    step = len(positions) / max(1, count)
    return [positions[int((i + 0.5) * step)] for i in range(count)]


def size(state: Any) -> int:
    """Bytes of a tensor, or of what a tuple or list holds."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    return sum(map(size, state)) if isinstance(state, (tuple, list)) else 0
