"""`metrics`: FPR95, AUROC and AUPR, in percent, of scores that were made elsewhere."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .console import tell

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 2_000_000_000
MAGIC = b"\x93NUMPY"


EPILOG = (
    "At the threshold printed, the share of OOD scores that are not below it is FPR95, and the "
    "share of ID scores is the one nearest to 95 %."
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("metrics", help=__doc__, description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--id-scores",
        required=True,
        metavar="FILE",
        help="a number a line, or .npy; higher means more in-distribution",
    )
    parser.add_argument("--ood-scores", nargs="+", action="extend", required=True, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one line: a list, an object a set")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..metrics.curves import threshold_of_fpr95
    from ..metrics.separation import separation

    ids = read_scores(args.id_scores)
    rows = []
    for name, file in zip(_names(args.ood_scores), args.ood_scores, strict=True):
        try:
            oods = read_scores(file)
            metrics, threshold = separation(ids, oods), threshold_of_fpr95(ids, oods)
        except ValueError as error:
            raise ValueError(f"{args.id_scores} and {file}: {error}") from None
        percent = {key: 100 * value for key, value in metrics._asdict().items()}
        rows.append({"ood": name, **percent, "threshold": threshold})
    if args.json:  # JSON has no infinity
        finite = [{**row, "threshold": _or_none(row["threshold"])} for row in rows]
        tell(json.dumps(finite, allow_nan=False))
        return 0
    wide = max(3, *(len(row["ood"]) for row in rows))
    tell(f"{'OOD':{wide}}  {'FPR95':>7}  {'AUROC':>7}  {'AUPR':>7}  threshold")
    for row in rows:
        numbers = "  ".join(f"{row[key]:7.2f}" for key in ("fpr95", "auroc", "aupr"))
        tell(f"{row['ood']:{wide}}  {numbers}  {row['threshold']:.6g}")
    return 0


def read_scores(path: str | Path) -> np.ndarray:
    """Scores `(n,)` of a text file with a number a line, or of an .npy file without objects.

    Raises:
        ValueError: no such file, too large, not numbers; says which line.
    """
    import numpy as np

    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read"
            )
        with path.open("rb") as file:  # once: a pipe cannot be read twice
            start = file.read(len(MAGIC))
            if start == MAGIC and path.is_file():
                return _array(path)
            data = start + file.read(MAX_BYTES)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is neither text nor an .npy file; write one number a line, or use numpy.save"
        ) from None
    lines = enumerate(text.splitlines(), start=1)
    numbered = [(i, line) for i, line in lines if line.strip()]
    try:
        if not text.isascii() or "_" in text:  # Python would read 1_000 and Arabic digits
            raise ValueError
        return np.array([line for _, line in numbered], dtype=np.float64)
    except ValueError:
        wrong = [(i, line) for i, line in numbered if not _is_number(line)]
        if not wrong:
            raise
    number, line = wrong[0]
    raise ValueError(f"{path}, line {number}: {line.strip()[:40]!r} is no number; write one a line")


def _array(path: Path) -> np.ndarray:
    """Mapped, not read: a header that promises more than the file holds allocates nothing."""
    import numpy as np

    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{path} is no .npy that is read here ({reason}); save plain numbers with numpy.save"
        ) from None
    if found.dtype.kind not in "fiu" or found.ndim != 1:
        raise ValueError(
            f"{path} holds {found.dtype} of shape {found.shape}; save real numbers of shape (n,)"
        )
    return np.array(found, dtype=np.float64)


def _names(files: Sequence[str]) -> list[str]:
    """The files' names without an ending; where two are alike, the files as given."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else list(files)


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text
