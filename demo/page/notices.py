"""What the page says about itself: what runs, what went wrong with which file, what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, NamedTuple

import gradio as gr

SHOWN_PROBLEMS = 12
Handler = Callable[..., Any]


class Notice(NamedTuple):
    """A sentence in a box, with a list under it, or with a bar of the share that is done.

    `kind` is info, busy, good, warn, bad or empty. One that is busy has a bar, which moves to and
    fro where the share is not known; one that is empty keeps the place of something to come, and
    its items go on in the sentence.
    """

    kind: str
    sentence: str
    items: Sequence[str]
    done: float | None = None


def notice(sentence: str, kind: str = "info", items: Sequence[str] = ()) -> Notice:
    """A sentence and the first of many `items`."""
    more = len(items) - SHOWN_PROBLEMS
    rest = [f"and {more} more"] if more > 0 else []
    return Notice(kind, begun(sentence), [*items[:SHOWN_PROBLEMS], *rest])


def busy(sentence: str, done: float | None = None) -> Notice:
    """What is going on."""
    return Notice("busy", begun(sentence), [], None if done is None else round(done, 3))


def empty(sentence: str, more: str) -> Notice:
    """That nothing is here yet, and what to do about it."""
    return Notice("empty", sentence, [more])


def failure(error: Exception) -> Notice:
    """What went wrong."""
    return notice(str(error), "bad")


def outlived(shown: Sequence[Notice] | None) -> list[Notice]:
    """What still holds of what is shown, once another file was given."""
    return [one for one in shown or () if one.kind != "bad"]


def reporting_errors(show: Callable[[Notice], Any]) -> Callable[[Handler], Handler]:
    """Handlers, functions or generators, whose ValueErrors are shown by the view of a notice."""

    def reporting(handler: Handler) -> Handler:
        @wraps(handler)
        def once(*args: Any) -> Any:
            try:
                return handler(*args)
            except ValueError as error:
                return show(failure(error))

        @wraps(handler)
        def in_steps(*args: Any) -> Iterator[Any]:
            try:
                yield from handler(*args)
            except ValueError as error:
                yield show(failure(error))

        return in_steps if isgeneratorfunction(handler) else once

    return reporting


def toasting_errors(handler: Handler) -> Handler:
    """The handler, with its ValueErrors as messages in the corner of the page."""

    @wraps(handler)
    def toasting(*args: Any) -> Any:
        try:
            return handler(*args)
        except ValueError as error:
            raise gr.Error(begun(str(error)), print_exception=False) from None

    return toasting


def begun(text: str) -> str:
    """With a capital, unless it begins with a name such as `timm:x` or a file's."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
