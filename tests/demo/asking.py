"""Visitors that a test makes up."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.server.visitors import Asker, asker


@contextmanager
def asking(visitor: str, work: str = "") -> Iterator[None]:
    """In it, that visitor asks."""
    token = asker.set(Asker(visitor, work))
    try:
        yield
    finally:
        asker.reset(token)
