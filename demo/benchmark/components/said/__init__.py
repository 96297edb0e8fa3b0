"""What a benchmark comes to, in sentences."""

from __future__ import annotations

from demo.page.components.base import Part


class Said(Part):
    """Its value is a `setar_core.benchmark.differences.Conclusion`."""
