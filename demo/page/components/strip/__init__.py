"""A strip of small pictures to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from demo.page.components.picker import Picker


class Picture(NamedTuple):
    """`label` is what a click does, `pressed` whether it is chosen, None where none ever is."""

    source: str
    title: str
    label: str
    pressed: bool | None = None


class Strip(Picker):
    """Its value is a list of `Picture`s; `group` is what they are together."""

    def __init__(self, value: Sequence[Picture] = (), group: str = "", **options: Any) -> None:
        super().__init__(value, group=group, **options)
