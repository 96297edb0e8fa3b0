"""A host that lends a card: a stand-in for `spaces` on a Space with ZeroGPU.

As there, what is decorated runs in a forked process of its own, which the next call takes up again
and which is killed when the seconds of a call are over; only pickled bytes pass, a fault comes back
as its type's name, and whoever closes the generator waits for the step that runs.
"""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

request: ContextVar[str | None] = ContextVar("request", default=None)  # that Gradio answers


class Error(Exception):
    """As `gradio.Error`: no ValueError, and its text is a representation of its message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return repr(self.message)


class Asked(NamedTuple):
    """A call: for how many seconds, on whose quota, and in which process."""

    seconds: int
    request: str | None
    process: int


class Spaces(ModuleType):
    """The module.

    Attributes:
        asked: every call.
        kill_after: results after which the next call's process is killed; None for never.
        refusal: what the host says to the next call in place of a card.
    """

    def __init__(self) -> None:
        super().__init__("spaces")
        self.asked: list[Asked] = []
        self.kill_after: int | None = None
        self.refusal = ""
        self._free: list[_Worker] = []

    def GPU(self, task: Any = None, *, duration: Any = 60) -> Any:
        if task is None:
            return partial(self.GPU, duration=duration)
        assert inspect.isgeneratorfunction(task)
        return partial(self._call, task, duration)

    def end(self) -> None:
        for worker in self._free:
            worker.process.kill()

    def _call(self, task: Callable[..., Iterator[Any]], duration: Any, *args: Any) -> Iterator[Any]:
        if self.refusal:
            said, self.refusal = self.refusal, ""
            raise Error(said)
        seconds = duration(*args) if callable(duration) else duration
        worker = self._free.pop() if self._free else _Worker(task)
        assert worker.process.pid is not None
        self.asked.append(Asked(seconds, request.get(), worker.process.pid))
        end, self.kill_after = self.kill_after, None
        timer = threading.Timer(seconds, worker.process.kill)
        timer.start()
        worker.stop.clear()
        worker.pipe.send_bytes(pickle.dumps(args))
        try:
            for count, result in enumerate(worker.results(), 1):
                if count == end:
                    worker.process.kill()
                try:
                    yield result
                except GeneratorExit:
                    worker.stop.set()
                    for _ in worker.results():
                        pass
                    self._free.append(worker)
                    raise
                if count == end:
                    raise Error("GPU task aborted")
            self._free.append(worker)
        finally:
            timer.cancel()


class _Worker:
    def __init__(self, task: Callable[..., Iterator[Any]]) -> None:
        forking = multiprocessing.get_context("fork")
        self.stop = forking.Event()
        self.pipe, theirs = forking.Pipe()
        self.process = forking.Process(target=_serve, args=(task, theirs, self.stop), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads
            self.process.start()
        theirs.close()

    def results(self) -> Iterator[Any]:
        """Of the call that runs."""
        while True:
            try:
                kind, value = pickle.loads(self.pipe.recv_bytes())
            except (EOFError, ConnectionResetError):
                raise Error("GPU task aborted") from None
            if kind == "fault":
                raise Error(value)
            if kind == "end":
                return
            yield value


def _serve(task: Callable[..., Iterator[Any]], pipe: Any, stop: Any) -> None:
    while True:
        try:
            args = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        thread = threading.Thread(target=_run, args=(task, args, pipe, stop))
        thread.start()
        thread.join()


def _run(task: Callable[..., Iterator[Any]], args: Any, pipe: Any, stop: Any) -> None:
    try:
        for value in task(*args):
            if stop.is_set():
                break
            pipe.send_bytes(pickle.dumps(("result", value)))
    except Exception as error:
        pipe.send_bytes(pickle.dumps(("fault", type(error).__name__)))
    else:
        pipe.send_bytes(pickle.dumps(("end", None)))
