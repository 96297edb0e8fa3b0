"""JSON that strangers write, and values of it in messages.

What is read here can be written again by any library: no NaN, no number that has not 64 bits, no
text that is not Unicode, nothing that is nested deeply.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

DEPTH = 32  # of lists and objects in one another
LARGEST = 2**63  # numbers are below

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80
_repr.maxlist = _repr.maxdict = 8


def short(value: object) -> str:
    """A value as Python writes it, shortened for a message."""
    return _repr.repr(value)


def said(error: Exception) -> str:
    """What a library says of a file, in one line, without characters of the file that nobody can
    see."""
    text = " ".join(str(error).split())[:300]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def is_text(text: str) -> bool:
    """Whether it can be sent: no half of a character that takes two."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def loads(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """What JSON says; `pairs` makes an object of its names and values.

    Raises:
        ValueError: no JSON, or some that not every library can write again.
    """
    try:
        page = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_constant=_number,
            parse_float=_number,
            parse_int=_whole,
        )
        shallow = _shallow(page, DEPTH)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    except RecursionError:
        shallow = False
    if not shallow:
        raise ValueError(f"it is nested deeper than {DEPTH}, as no recipe is")
    return page


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for `loads`.

    Raises:
        ValueError: two entries with one name, of which none can be meant.
    """
    page: dict[str, Any] = {}
    for name, value in pairs:
        if name in page:
            raise ValueError(f"{short(name)} is there twice; keep one of the two entries")
        page[name] = value
    return page


def check_entries(
    page: Any, kinds: Mapping[str, type | tuple[type, ...]], key: str, version: int, again: str
) -> None:
    """Raises ValueError, with what to do `again`, for what is no object of just these entries, each
    of its kind, and of this version by the entry `key`."""
    if not isinstance(page, dict) or page.get(key) != version:
        raise ValueError(f"it is of no version {version}; {again}")
    if odd := set(page) ^ set(kinds):
        raise ValueError(f"{short(min(odd))} is missing or unknown; {again}")
    for name, kind in kinds.items():
        if not isinstance(page[name], kind) or isinstance(page[name], bool):
            raise ValueError(f"its {name} is {short(page[name])}; {again}")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no number that JSON has")
    return value


def _whole(text: str) -> int:
    value = int(text) if len(text) < 20 else LARGEST
    if abs(value) >= LARGEST:
        raise ValueError(f"{text[:20]}{'...' * (len(text) > 20)} has more than 64 bits")
    return value


def _shallow(value: Any, depth: int) -> bool:
    """Whether lists and objects end within `depth` levels; all of their text is looked at.

    Raises:
        ValueError: some that is not Unicode.
    """
    if isinstance(value, str) and not is_text(value):
        raise ValueError(f"{short(value)} holds half a character (a lone surrogate)")
    if not isinstance(value, (list, dict)):
        return True
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    return depth > 0 and all(_shallow(item, depth - 1) for item in inside)
