"""How much pictures of a label count beside its text, without PyTorch."""

from __future__ import annotations

SHARE = 0.5


def check_share(share: float) -> None:
    """Raises ValueError for a share of examples that is not from 0 to 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"the share of examples is {share}; give a number from 0 to 1")
