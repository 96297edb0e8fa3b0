"""The command line: `python -m setar_core verdict | scores | ...`.

Exit code 0: done; 1: done, but something was left out; 2: refused, with one line on stderr.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

from .commands import benchmark, metrics, say, scores, search, verdict

COMMANDS = (verdict, scores, search, benchmark, metrics)
NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and takes -1e-3 for a number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = NEGATIVE  # argparse has no public way, and knows no e

    def error(self, message: str) -> NoReturn:
        say(f"{self.prog}: {message} (see {self.prog} --help)")
        sys.exit(2)


def main(arguments: list[str] | None = None) -> int:
    name = "setar" if Path(sys.argv[0]).stem == "setar" else "python -m setar_core"
    parser = Parser(prog=name, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        command.add(commands)
    args = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a label that the terminal cannot write stops nothing
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", category=UserWarning)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        say(f"error: {error}")
        return 2
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:160]
        say(f"error: out of memory ({reason}); give a smaller --memory or --batch-size")
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130


def _out_of_memory(error: Exception) -> bool:
    """Told by name and words, because a plain RuntimeError is all that torch raises on a CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "allocate memory" in str(error) or "not enough memory" in str(error)


if __name__ == "__main__":
    sys.exit(main())
