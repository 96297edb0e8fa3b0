"""`metrics`: FPR95, AUROC and AUPR, in percent, of scores that were made elsewhere."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import either
from .console import say, tell

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 2_000_000_000
MAGIC = b"\x93NUMPY"
SEPARATORS = (",", ";", "\t")

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
        help="a number a line, .npy, or a table; higher means more in-distribution",
    )
    parser.add_argument("--ood-scores", nargs="+", action="extend", required=True, metavar="FILE")
    parser.add_argument("--column", metavar="NAME", help="of tables whose first line names columns")
    parser.add_argument(
        "--negate", action="store_true", help="the files' scores are higher for OOD: turn the sign"
    )
    parser.add_argument("--json", action="store_true", help="one line: a list, an object a set")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..metrics.curves import threshold_of_fpr95
    from ..metrics.separation import separation

    sign = -1 if args.negate else 1
    ids = sign * read_scores(args.id_scores, args.column)
    rows = []
    for name, file in zip(_names(args.ood_scores), args.ood_scores, strict=True):
        oods = sign * read_scores(file, args.column)
        try:
            metrics, threshold = separation(ids, oods), threshold_of_fpr95(ids, oods)
        except ValueError as error:
            raise ValueError(f"{args.id_scores} and {file}: {error}") from None
        percent = {key: 100 * value for key, value in metrics._asdict().items()}
        rows.append({"ood": name, **percent, "threshold": threshold})
    if all(row["auroc"] < 50 for row in rows):
        other = "leave --negate out" if args.negate else "--negate turns the sign"
        say(f"warning: every AUROC is below 50 %, as if ID scores were the lower ones; {other}")
    if args.json:
        tell(json.dumps(rows, allow_nan=False))
        return 0
    wide = max(3, *(len(row["ood"]) for row in rows))
    tell(f"{'OOD':{wide}}  {'FPR95':>7}  {'AUROC':>7}  {'AUPR':>7}  threshold")
    for row in rows:
        numbers = "  ".join(f"{row[key]:7.2f}" for key in ("fpr95", "auroc", "aupr"))
        tell(f"{row['ood']:{wide}}  {numbers}  {row['threshold']:.6g}")
    return 0


def read_scores(path: str | Path, column: str | None = None) -> np.ndarray:
    """Scores `(n,)` of a text file with a number a line, of an .npy file without objects, or of the
    named column of a table: Parquet, or text whose first line names its columns.

    Raises:
        ValueError: no such file, too large, not finite numbers (says which line), no such column.
    """
    import numpy as np

    from .scored.formats import is_parquet, read_parquet

    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read"
            )
        if is_parquet(path):
            return _finite(path, read_parquet(path, column, MAX_BYTES // 8), "row")
        with path.open("rb") as file:  # once: a pipe cannot be read twice
            start = file.read(len(MAGIC))
            if start == MAGIC and path.is_file():
                if column is not None:
                    raise ValueError(
                        f"{path} is an .npy, which names no column; leave out --column"
                    )
                return _finite(path, _array(path), "element")
            data = start + file.read(MAX_BYTES)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is neither text nor an .npy file; write one number a line, or use numpy.save"
        ) from None
    numbered = list(_cells(path, text, column))
    lines, cells = [line for line, _ in numbered], [cell for _, cell in numbered]
    try:
        written = "".join(cells)
        if not written.isascii() or "_" in written:  # Python would read 1_000 and Arabic digits
            raise ValueError
        found = np.array(cells, dtype=np.float64)
    except ValueError:
        wrong = ((line, cell) for line, cell in numbered if not _is_number(cell))
        line, cell = next(wrong)
        raise ValueError(
            f"{path}, line {line}: {cell.strip()[:40]!r} is no number; write one a line"
        ) from None
    return _finite(path, found, "line", lines)


def _cells(path: Path, text: str, column: str | None) -> Iterator[tuple[int, str]]:
    """Line by line the text of a score, with the line's number; blank lines do not count."""
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    first = lines[0][1] if lines else ""
    separator = next((mark for mark in SEPARATORS if mark in first), ",")
    names = [name.strip().strip('"') for name in first.split(separator)]
    named = bool(first) and not any(map(_is_number, names))
    if column is None and not (named and len(names) > 1):
        yield from lines
        return
    if not named:
        raise ValueError(f"{path} names no columns in its first line; leave out --column {column}")
    if names.count(column or "") != 1:
        known = either([*(repr(n[:40]) for n in names[:8]), *(["..."] if names[8:] else [])])
        said = "several columns" if column is None else f"no column {column!r}, or several"
        raise ValueError(f"{path} has {said}; choose with --column {known}")
    at = names.index(column or "")
    for number, line in lines[1:]:
        try:
            (row,) = csv.reader([line], delimiter=separator, strict=True)
        except csv.Error as error:
            raise ValueError(f"{path}, line {number}: {error}; save the table again") from None
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {number}: {len(row)} cells under {len(names)} names; save the table "
                "again"
            )
        yield number, row[at]


def _finite(
    path: Path, scores: np.ndarray, what: str, places: Sequence[int] | None = None
) -> np.ndarray:
    """The scores; raises ValueError for NaN and infinity, with the place of the first."""
    import numpy as np

    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        place = wrong[0] + 1 if places is None else places[wrong[0]]
        raise ValueError(
            f"{path}, {what} {place}: {scores[wrong[0]]:g} is no finite number, like {len(wrong)} "
            f"of its {len(scores)} scores; look for what overflowed there"
        )
    return scores


def _array(path: Path) -> np.ndarray:
    """Mapped, not read: a header that promises more than the file holds allocates nothing."""
    import numpy as np

    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # of a broken header numpy raises whatever Python's parser does
        said = next((part for part in error.args if isinstance(part, str)), str(error))
        reason = said.strip().split("\n")[0][:120] or "its header is cut short"
        raise ValueError(
            f"{path} is no .npy that is read here ({reason}); save plain numbers with numpy.save"
        ) from None
    if found.dtype.kind not in "fiu" or found.ndim != 1:
        raise ValueError(
            f"{path} holds {str(found.dtype)[:80]} of shape {found.shape}; save real numbers of "
            "shape (n,)"
        )
    return np.array(found, dtype=np.float64)


def _names(files: Sequence[str]) -> list[str]:
    """The files' names without an ending; where two are alike, the files as given."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else list(files)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text
