"""The JSON of a detector's file, and what lies beside it or in one zip with it, looked at before it
is believed: `Page`."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from ..data.strict import check_entries, is_text, loads, named_once, short
from ..labels import LabelSet
from ..scores import MINED, ScoreOptions

VERSION = 1
MAX_BYTES = 50_000_000  # of the JSON
MAX_ARRAYS = 4 * 2**30  # bytes of a file of arrays
PARTS = ("heads", "adapter", "fit")
KINDS: dict[str, type | tuple[type, ...]] = {
    "setar_detector": int,
    "version": str,
    "date": str,
    "backbone": dict,
    "recipe": (dict, type(None)),
    "labels": list,
    "prompt": str,
    "negatives": dict,
    "score": str,
    "options": dict,
    "shaping": (str, type(None)),
    "examples": str,
    "threshold": (dict, int, float, type(None)),
    "context": dict,
    "arrays": dict,
}


class Part(NamedTuple):
    """A file of arrays, and the SHA-256 of what it has to hold."""

    file: str
    sha256: str


class Page(NamedTuple):
    """A detector's JSON, every value of its own kind, and its files of arrays by their part."""

    path: Path
    values: dict[str, Any]
    parts: dict[str, Part]

    @property
    def backbone(self) -> str:
        """Its backbone's name, as `load_backbone` takes it."""
        return str(self.values["backbone"]["name"])

    @property
    def labels(self) -> LabelSet:
        """Raises ValueError for names that are no labels."""
        return LabelSet(tuple(self.values["labels"]), self.values["prompt"])


@contextmanager
def opened(path: str | Path, limit: int = MAX_ARRAYS) -> Iterator[Page]:
    """The page of a `.json`, or of the one in a `.zip`, which is unpacked for as long; `limit` is
    of the bytes that a zip may hold.

    Raises:
        ValueError: no such file, or no detector; says what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no detector {short(str(path))}; give a .json or .zip that was saved")
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = _unpacked(path, Path(folder), limit) if zipfile.is_zipfile(path) else path
            page = read(made)
        except ValueError as error:
            raise ValueError(f"detector {path.name}: {error}") from None
        yield page


def read(path: Path) -> Page:
    """Raises ValueError for a `.json` that is no detector's."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text; give the .json that was saved") from None
    values = loads(text, named_once)
    if not isinstance(values, dict) or "setar_detector" not in values:
        raise ValueError("it is no detector's; give the .json that was saved")
    check_entries(values, KINDS, "setar_detector", VERSION, "save it again")
    _check_texts("backbone", [values["backbone"].get(key) for key in ("name", "fingerprint")])
    _check_texts("labels", values["labels"])
    if odd := set(values["options"]) - {option.name for option in fields(ScoreOptions)}:
        raise ValueError(f"its option {short(min(odd))} is unknown; save it again")
    for way, page in values["negatives"].items():
        known = way in MINED and isinstance(page, dict)
        if not known or page.keys() != {"words", "fingerprint"}:
            raise ValueError(f"its negatives of {short(way)} are {short(page)}; save it again")
        words = page["words"] if isinstance(page["words"], list) else [None]
        _check_texts("negatives", [*words, page["fingerprint"]])
    arrays = values["arrays"]
    if not {"heads"} <= set(arrays) <= set(PARTS):
        raise ValueError(f"its arrays are {short(sorted(arrays))}; save it again")
    parts = {}
    for name, part in arrays.items():
        if not isinstance(part, dict) or part.keys() != set(Part._fields):
            raise ValueError(f"its {name} is {short(part)}; save it again")
        _check_texts(name, list(part.values()))
        if Path(part["file"]).name != part["file"] or "\\" in part["file"]:
            raise ValueError(f"its {name} lies in {short(part['file'])}; arrays lie beside it")
        parts[name] = Part(**part)
    return Page(path, values, parts)


def _check_texts(name: str, texts: list[Any]) -> None:
    if not texts or not all(isinstance(x, str) and x and is_text(x) for x in texts):
        raise ValueError(f"its {name} are {short(texts)}, and not all are text; save it again")


def checked(folder: Path, part: Part) -> Path:
    """A file of arrays that is what the page says."""
    file = folder / part.file
    if not file.is_file():
        raise ValueError(f"{part.file} is not beside it; keep the files together, or give the zip")
    if file.stat().st_size > MAX_ARRAYS or sha256(file) != part.sha256:
        raise ValueError(f"{part.file} is not the file that it was saved with; take both from one")
    return file


def _unpacked(path: Path, folder: Path, limit: int) -> Path:
    """The one page in a zip, with the arrays beside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pages = [entry for entry in entries if entry.filename.endswith(".json")]
            if len(pages) != 1 or len(entries) > 1 + len(PARTS):
                raise ValueError("a zip holds one detector's .json and its arrays; give one")
            if (size := sum(entry.file_size for entry in entries)) > limit:
                raise ValueError(f"its zip holds {size} bytes; at most {limit} are read")
            for name in (entry.filename for entry in entries):
                if Path(name).name != name or "\\" in name:
                    raise ValueError(f"{short(name)} is in a folder; zip the files alone")
                with archive.open(name) as source, open(folder / name, "xb") as target:
                    shutil.copyfileobj(source, target)
            return folder / pages[0].filename
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise ValueError(f"its zip cannot be read ({error}); save it again") from None


def files_of(path: Path) -> set[str]:
    """The arrays of a detector that is about to be replaced."""
    try:
        return {part.file for part in read(path).parts.values()}
    except (ValueError, OSError):
        return set()


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with open(path, "rb") as file:
        text = hashlib.sha256()
        while piece := file.read(2**20):
            text.update(piece)
        return text.hexdigest()
