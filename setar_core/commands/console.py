"""How a program speaks and ends: a line at a time, then an exit code and never a traceback."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TextIO

NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
BY_SIGNAL = 128  # is added to a signal's number, as shells do
RECEIVED: list[int] = []  # the signal that came first, while `ended` runs
NO_READER = BY_SIGNAL + 13  # of SIGPIPE, which Windows has not


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and takes -1e-3 for a number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = NEGATIVE  # argparse has no public way, and knows no e

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(2)


def say(sentence: str) -> None:
    """One line on stderr, whatever is in the text; where nobody reads it, the work goes on."""
    try:
        print(" ".join(sentence.split()), file=sys.stderr, flush=True)
    except OSError:
        _mute(sys.stderr)


def tell(text: str) -> None:
    """Lines on stdout, at once.

    Raises:
        BrokenPipeError: what reads them has closed stdout, as `head` does.
        OSError: they cannot be written; says why.
    """
    with _stdout():
        print(text, flush=True)


def ended(work: Callable[[], int]) -> int:
    """The exit code of `work`; what ends it otherwise takes one line on stderr.

    2 is for what it refuses (a ValueError or OSError), 130 and 143 are for Ctrl-C and SIGTERM, 141
    for a stdout that nobody reads any more. A second signal ends the process at once.
    """
    if sys.stderr is None:  # closed; this also keeps its number from the next file that is opened
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        say("error: stdout is closed, so nothing can be told; send it to a file or to /dev/null")
        return 2
    for stream in (sys.stdout, sys.stderr):  # a label that the terminal cannot write stops nothing
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _signals():
        try:
            code = _returned(work)
            _flush()
        except KeyboardInterrupt:
            exec("")  # CPython forgets one that left an extension's code; else it would end by it
            say("stopped")
            code = BY_SIGNAL + signal.SIGINT
        except BrokenPipeError:
            say("stopped: nobody reads stdout any more")
            code = NO_READER
        except (ValueError, OSError) as error:
            say(f"error: {_sentence(error)}")
            code = 2
    with suppress(OSError):  # what was printed before that
        _flush()
    return BY_SIGNAL + RECEIVED[0] if RECEIVED else code


def check_signal() -> None:
    """For loops without an end: some imports swallow what a signal raises inside them.

    Raises:
        KeyboardInterrupt: a signal has come.
    """
    if RECEIVED:
        raise KeyboardInterrupt


def _returned(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as end:  # argparse's
        return int(end.code or 0)


def _flush() -> None:
    with _stdout():
        sys.stdout.flush()


@contextmanager
def _stdout() -> Iterator[None]:
    """Raises OSError, with stdout in its message, for what cannot be written to it."""
    try:
        yield
    except OSError as error:
        _mute(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(
            f"stdout cannot be written ({error.strerror}); send it elsewhere, or make room"
        ) from None


@contextmanager
def _signals() -> Iterator[None]:
    """Raises KeyboardInterrupt for the first of `SIGNALS`; `RECEIVED` then holds its number."""
    RECEIVED.clear()

    def stop(number: int, frame: FrameType | None) -> None:
        if RECEIVED:
            os._exit(BY_SIGNAL + RECEIVED[0])
        RECEIVED.append(number)
        raise KeyboardInterrupt

    before = {
        number: handler
        for number in SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN  # as nohup asks
    }
    try:
        with suppress(ValueError):  # they are only for the main thread
            for number in before:
                signal.signal(number, stop)
        yield
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, stop if RECEIVED else handler)


def _mute(stream: TextIO) -> None:
    """Send what comes after a failed line nowhere: Python would write it again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _sentence(error: Exception) -> str:
    """The message, without the number that the system puts before its own."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
