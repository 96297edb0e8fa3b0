"""Slow work in a thread of its own, that tells what it does and goes on when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Result = TypeVar("Result")
Tell = Callable[[str], None]


class Errand(Generic[Result]):
    """Begins at once; `sentences()` tells what happens, `result()` waits for the end."""

    def __init__(self, work: Callable[[Tell], Result]) -> None:
        self.latest = "starting"
        self._work = work
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def ready(self) -> bool:
        return bool(self._result)

    @property
    def failed(self) -> bool:
        return self._error is not None

    @property
    def busy(self) -> bool:
        return not self._done.is_set()

    def sentences(self, every: float = 0.2) -> Iterator[str]:
        """Each new sentence, until the work ends; at least one when it lasts."""
        told = None
        while not self._done.wait(every):
            if self.latest != told:
                told = self.latest
                yield told

    def wait(self) -> None:
        self._done.wait()

    def result(self) -> Result:
        """What the work gave; raises what it raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self._tell))
        except BaseException as error:  # not swallowed: `result` raises it where it is awaited
            self._error = error
        finally:
            self._done.set()

    def _tell(self, sentence: str) -> None:
        self.latest = sentence
