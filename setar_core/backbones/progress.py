"""Work in steps, run to its end while somebody is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Progress = Callable[[str], None]
Result = TypeVar("Result")


def finished(
    steps: Generator[int, None, Result],
    total: int,
    every: int,
    progress: Progress | None,
    sentence: str,
) -> Result:
    """What the steps come to; `progress` is told the sentence of every so many that are done."""
    told = 0
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            return end.value
        if progress and told // every < done // every and done < total:
            progress(sentence.format(done))
        told = done
