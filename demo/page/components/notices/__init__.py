"""What goes on, what went wrong, what to do next: boxes, one above another."""

from __future__ import annotations

from typing import Any

from demo.page.components.base import Part
from demo.page.notices import Notice


class Notices(Part):
    """Its value is a `Notice`, or several."""

    def postprocess(self, value: Any) -> Any:
        return super().postprocess([value] if isinstance(value, Notice) else value)

    def preprocess(self, payload: Any) -> Any:
        return [Notice(**one) for one in super().preprocess(payload) or ()]
