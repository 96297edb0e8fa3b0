"""Generators of work, run to their end."""


def ended(steps):
    """What the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
