"""Negative labels: words that are far from all labels, in the order in which they were chosen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from ...labels import LabelSet, few
from ...labels.reading import is_visible
from ...recipe import MAX_NAME, ORIGINAL
from .. import strict
from ..strict import is_text, short
from .methods import DEFAULT, MAX_WORDS, Mining

KINDS = ("noun", "adj")
MAX_LENGTH = 240  # characters; CSP sets a noun behind an adjective
MAX_BYTES = 50_000_000
SETTINGS = ("share", "count", "quantile", "too_like", "exclude", "seed", "prompt")


class Negative(NamedTuple):
    """A word, its kind, and its distance to the labels; None where nobody measured it."""

    word: str
    kind: str = "noun"
    distance: float | None = None


@dataclass(frozen=True)
class Negatives:
    """Words in their order, how they were mined, and for whom.

    Attributes:
        words: at least one, none twice; the order decides which of them a group leaves out.
        labels: the names that they are far from; empty where they are for any.
        backbone: the name of what measured the distances, with its weights' `fingerprint` and the
            fingerprint of its recipe; empty where nothing did.
        candidates: how many words there were to choose from.
        too_like: how many of them were left out for being too like a label.
        is_mined: False for a word list, of which the negatives are yet to be chosen.

    Raises:
        ValueError: no word, too many, one that is there twice, no text, an unknown kind, a
            distance that is no finite number.
    """

    words: tuple[Negative, ...]
    mining: Mining = DEFAULT
    labels: tuple[str, ...] = ()
    backbone: str = ""
    weights: str = ""
    recipe: str = ORIGINAL
    candidates: int = 0
    too_like: int = 0
    is_mined: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))
        if not self.words:
            raise ValueError("there is no negative label; mine some, or give a list of words")
        if len(self.words) > MAX_WORDS:
            raise ValueError(f"{len(self.words)} negatives are too many; use at most {MAX_WORDS}")
        known = set()
        for word, kind, distance in self.words:
            check_word(word)
            if kind not in KINDS:
                raise ValueError(
                    f"kind of {short(word)} is {short(kind)}; use {' or '.join(KINDS)}"
                )
            if distance is not None and not _is_finite(distance):
                raise ValueError(
                    f"distance of {short(word)} is {short(distance)}; give a number, or null"
                )
            if (word, kind) in known:
                raise ValueError(f"{short(word)} is there twice; keep one of the two entries")
            known.add((word, kind))

    def __len__(self) -> int:
        return len(self.words)

    @property
    def method(self) -> str:
        return self.mining.method

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what a score depends on: words in order, kinds and prompts."""
        words = [word[:2] for word in self.words]
        mined = [self.is_mined] if self.is_mined else [self.is_mined, self.mining.page()]
        text = json.dumps([self.method, self.mining.templates, words, mined], allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences about what was left out."""
        found = []
        if self.too_like:
            found.append(
                f"{self.too_like} of {self.candidates} candidates have a cosine above "
                f"{self.mining.nearest:g} to a label and were left out"
            )
        if len(self) < 100:
            found.append(
                f"there are {len(self)} negatives, so scores make {len(self)} groups of one, not "
                "100 groups as published"
            )
        return tuple(found)

    def check(self, labels: LabelSet) -> None:
        """Raises ValueError when they were mined for other labels."""
        if self.labels and set(self.labels) != set(labels.names):
            others = [name for name in labels.names if name not in set(self.labels)]
            strange = few(others) if others else f"fewer than {few(self.labels)}"
            raise ValueError(
                f"the negatives were mined for other labels (now there are {strange}); mine again"
            )

    def dumps(self) -> str:
        """JSON with a line a word: method, labels, backbone, fingerprint, recipe, settings, and
        `negatives`, each `{word, kind, distance}`."""
        head = {
            "method": self.method,
            "labels": list(self.labels),
            "backbone": self.backbone,
            "fingerprint": self.weights,
            "recipe": self.recipe,
            "settings": self.mining.page(),
            "candidates": self.candidates,
            "too_like": self.too_like,
        }
        lines = [f"{_json(name)}: {_json(value)}" for name, value in head.items()]
        words = ",\n  ".join(_json(word._asdict()) for word in self.words)
        return "{\n " + ",\n ".join(lines) + ',\n "negatives": [\n  ' + words + "\n ]\n}\n"

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.dumps(), encoding="utf-8")

    @classmethod
    def loads(cls, text: str, method: str = "neglabel") -> Negatives:
        """What `dumps` wrote, or a word list, a word a line, that is yet to be mined by `method`.

        Raises:
            ValueError: neither; says which entry and why.
        """
        if len(text) > MAX_BYTES:
            raise ValueError(f"there are {len(text)} characters; at most {MAX_BYTES} are read")
        if not text.lstrip().startswith("{"):
            words = tuple(map(Negative, words_in(text)))
            return cls(words, Mining(method), candidates=len(words), is_mined=False)
        page = strict.loads(text, strict.named_once)
        if not isinstance(page.get("negatives"), list):
            raise ValueError(
                "this JSON holds no negatives: it needs a list of {word, kind, distance} as "
                "'negatives'; write it with setar negatives"
            )
        settings = page.get("settings", {})
        if not isinstance(settings, dict) or not set(settings) <= set(SETTINGS):
            raise ValueError(f"settings is {short(settings)}; use {', '.join(SETTINGS)}")
        if isinstance(settings.get("exclude"), list):
            settings["exclude"] = tuple(settings["exclude"])
        labels = page.get("labels", [])
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            raise ValueError(f"labels is {short(labels)}; give a list of names")
        return cls(
            tuple(map(_negative, page["negatives"])),
            Mining(page.get("method", method), **settings),
            LabelSet(tuple(labels)).names if labels else (),
            _text(page, "backbone"),
            _text(page, "fingerprint"),
            _text(page, "recipe", ORIGINAL),
            _count(page, "candidates"),
            _count(page, "too_like"),
        )

    @classmethod
    def load(cls, path: str | Path, method: str = "neglabel") -> Negatives:
        """Read a file; as `loads`, the message names the file."""
        path = Path(path)
        try:
            return cls.loads(read(path), method)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None


def read(path: Path) -> str:
    """The text of a file of words.

    Raises:
        ValueError: it cannot be read, is too large or no UTF-8.
    """
    try:
        if not path.is_file():
            raise ValueError("no such file; check its spelling")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text; save the words as UTF-8") from None


def words_in(text: str) -> list[str]:
    """The lines of a word list that hold a word, each once, in their order; or a JSON list."""
    if text.lstrip()[:1] + text.rstrip()[-1:] == "[]":
        page = strict.loads(text)
        if not all(isinstance(word, str) for word in page):
            raise ValueError('it is no JSON list of words, ["truck", "lamp"]')
        return once(page)
    return once(text.split("\n"))


def once(words: Iterable[str]) -> list[str]:
    """Without white space around them, and without empty ones and repetitions."""
    return list(dict.fromkeys(word for word in map(str.strip, words) if word))


def check_word(word: object) -> None:
    """Raises ValueError for what is no text that can be seen, or an overlong one."""
    if not isinstance(word, str) or not is_text(word) or not is_visible(word):
        raise ValueError(f"word {short(word)} has no text; write it again or remove it")
    if len(word) > MAX_LENGTH:
        raise ValueError(f"word {short(word)} has {len(word)} characters; use at most {MAX_LENGTH}")


def _negative(row: Any) -> Negative:
    if not isinstance(row, dict) or not {"word"} <= set(row) <= {"word", "kind", "distance"}:
        raise ValueError(f"{short(row)} is no entry; write {{word, kind, distance}}")
    return Negative(row["word"], row.get("kind", "noun"), row.get("distance"))


def _is_finite(value: Any) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and abs(value) < 1e6


def _text(page: dict[str, Any], name: str, otherwise: str = "") -> str:
    value = page.get(name, otherwise)
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError(f"{name} is {short(value)}; give a text of at most {MAX_NAME} characters")
    return value


def _count(page: dict[str, Any], name: str) -> int:
    value = page.get(name, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {short(value)}; give a whole number from 0 on")
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
