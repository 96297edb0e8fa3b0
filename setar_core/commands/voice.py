"""A command that several processes run: which of them speaks, and which of them work."""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from signal import SIGINT

from ..parallel.ranks import Ranks
from .console import BY_SIGNAL


def start(args: argparse.Namespace) -> int:
    """Run a command with `args.ranks`: in all processes one that is `shared`, else in the first.

    A device `cuda` is, for each process of a machine, its own.
    """
    ranks: Ranks = args.ranks
    if ranks.size > 1 and not getattr(args, "shared", False):
        ended = ranks.first(lambda: _ended(args))
        if isinstance(ended, str):
            raise ValueError(ended)
        return ended
    if ranks.size > 1 and getattr(args, "device", "") == "cuda":
        import torch

        args.device = f"cuda:{ranks.local}"
        torch.cuda.set_device(args.device)
    return int(args.run(args))


def _ended(args: argparse.Namespace) -> int | str:
    """The exit code, or what is refused."""
    try:
        return int(args.run(args))
    except (ValueError, OSError) as error:
        return str(error)


@contextmanager
def one_voice(ranks: Ranks) -> Generator[None, None, None]:
    """In it the first process speaks, and of all errors the first is told."""
    with ExitStack() as stack:
        if not ranks.leads:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        try:
            yield
        except KeyboardInterrupt:
            if ranks.leads and ranks.has_last_word():
                raise
            raise SystemExit(BY_SIGNAL + SIGINT) from None
        except SystemExit as end:
            if end.code:
                ranks.refused(end, "arguments")  # so that nobody is ended before it is said
            raise
        except (ValueError, OSError):
            if ranks.has_last_word():
                raise
            raise SystemExit(2) from None
