"""Tables of scores as files, row by row: CSV, or Parquet where the name ends so."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...benchmark.tables import guarded
from .. import either, printable
from ..outputs import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = ".parquet"
GROUP = 50_000  # rows of a Parquet file that are held at a time

Row = tuple[str, Sequence[float]]  # an image, and its scores


def check_format(path: str | Path) -> None:
    """Raises ValueError for Parquet where pyarrow is not installed."""
    if is_parquet(path) and find_spec("pyarrow") is None:
        raise ValueError(
            f"{path}: Parquet needs pyarrow; install setar-explorer[parquet], or give a .csv"
        )


def is_parquet(path: str | Path) -> bool:
    """Whether a file's name says that it is Parquet."""
    return Path(path).suffix.lower() == PARQUET


def write(path: str, scores: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a column `image`, and one for each score; what was there stays until it is whole.

    In CSV an image that a spreadsheet would run starts with a quote; in Parquet none does.

    Raises:
        OSError: the disk is full, or gone; names the file.
    """
    (_write_parquet if is_parquet(path) else _write_csv)(path, scores, rows)


def read_parquet(path: Path, column: str | None, most: int) -> np.ndarray:
    """A column of real numbers, `(n,)`, float64; NaN where a row has none.

    Raises:
        ValueError: no Parquet file, no such column or several, more rows than `most`, no numbers.
    """
    check_format(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            found = {field.name: field.type for field in schema}
            numbers = [name for name, kind in found.items() if _is_real(kind)]
            wanted = numbers if column is None else [n for n in schema.names if n == column]
            if len(wanted) != 1 or wanted[0] not in numbers:
                said = f"no one column {column or 'of numbers'!r}"
                names = [f"--column {name[:40]!r}" for name in numbers[:8]] or ["another file"]
                raise ValueError(f"{path} has {said}; give {either(names)}")
            if rows > most:
                raise ValueError(f"{path} has {rows} rows; at most {most} are read")
            values = file.read(columns=wanted).column(0)
            return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{path} is no Parquet file that is read here ({reason})") from None


def _is_real(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return types.is_floating(kind) or types.is_integer(kind)


def _write_csv(path: str, scores: Sequence[str], rows: Iterable[Row]) -> None:
    with (
        whole_file(path) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        table = csv.writer(text)
        table.writerow(["image", *scores])
        for image, values in rows:
            table.writerow([guarded(printable(image)), *map(repr, values)])


def _write_parquet(path: str, scores: Sequence[str], rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("image", pa.string()), *((name, pa.float64()) for name in scores)])
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        rows = iter(rows)
        while some := list(islice(rows, GROUP)):
            images, values = zip(*some, strict=True)
            columns = [list(map(printable, images)), *zip(*values, strict=True)]
            writer.write_table(pa.table(list(map(pa.array, columns)), schema=schema))
