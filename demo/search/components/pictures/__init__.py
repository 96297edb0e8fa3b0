"""Pictures that other parts show, sent once: `--picture-0` and so on are the images of CSS."""

from __future__ import annotations

from demo.page.components.base import Part


class Pictures(Part):
    """Its value is data URIs; nothing of it is seen."""
