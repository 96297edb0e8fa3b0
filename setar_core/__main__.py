"""The command line: `python -m setar_core verdict | scores | ...`.

Exit code 0: done; 1: done, but something was left out; 2: refused, with one line on stderr; 130 or
143: stopped by Ctrl-C or SIGTERM; 141: nobody reads what is printed.
"""

from __future__ import annotations

import os
import sys
import warnings
from functools import partial
from pathlib import Path

from .commands.console import BY_SIGNAL, Parser, ended
from .commands.voice import one_voice
from .memory import is_out_of_memory
from .parallel.place import told
from .parallel.ranks import Ranks, joined


def main(arguments: list[str] | None = None) -> int:
    return ended(partial(_joined, arguments))


def _joined(arguments: list[str] | None) -> int:
    with joined(told(os.environ)) as ranks, one_voice(ranks):
        code = _run(arguments, ranks)
        return code if code >= BY_SIGNAL else ranks.agreed(code)


def _run(arguments: list[str] | None, ranks: Ranks) -> int:
    from .commands import (
        accuracy,
        benchmark,
        export,
        finetune,
        metrics,
        negatives,
        papers,
        scores,
        search,
        verdict,
    )  # under ended's eye
    from .commands.voice import start

    name = "setar" if Path(sys.argv[0]).stem == "setar" else "python -m setar_core"
    parser = Parser(prog=name, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    working = (verdict, scores, negatives, search, finetune, export, benchmark, accuracy)
    for command in (*working, metrics, papers):
        command.add(commands)
    args = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", message="Image size", category=RuntimeWarning)  # ours is less
    args.ranks = ranks
    try:
        return start(args)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            f"out of memory ({reason}); give a smaller --memory or --batch-size"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
