"""Where candidates come from: WordNet as shipped, lists of one's own, what a backbone was taught.

A word is read once: one that is in two lists belongs to the first, in the order of their names.
"""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...labels import few
from ...paths import WORDS
from . import KINDS, Negatives, check_word, once, read
from .methods import DEFAULT, MAX_WORDS, METHODS, SHARE, Mining

LIST = re.compile(r"(noun|adj)(\..*)?")

Lists = Mapping[str, Sequence[str]]  # by name, such as noun.animal, the words of that kind


@dataclass(frozen=True)
class Words:
    """Candidates by kind, each in the order of reading; where they are from, and which share of
    them is kept where nobody says.

    Raises:
        ValueError: there is none, there are too many, or one is no text.
    """

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    source: str = ""
    share: float = SHARE

    def __post_init__(self) -> None:
        if not self:
            raise ValueError("there is no candidate; give more words, or exclude fewer lists")
        if len(self) > MAX_WORDS:
            raise ValueError(f"{len(self)} candidates are too many; use at most {MAX_WORDS}")
        for word in (*self.nouns, *self.adjectives):
            check_word(word)

    def __len__(self) -> int:
        return len(self.nouns) + len(self.adjectives)


def load_words(
    source: str | Path,
    mining: Mining = DEFAULT,
    concepts: Collection[str] = (),
    without: Collection[str] = (),
) -> Words:
    """The candidates of `wordnet`, of `vocabulary`, of a folder of lists or of a file.

    Args:
        concepts: what the backbone was taught, for `vocabulary`.
        without: labels, which are left out of `vocabulary`.

    Raises:
        ValueError: no such source, or a list to exclude that is not there.
    """
    if source == "vocabulary":
        return vocabulary(concepts, without)
    if source == "wordnet":
        return candidates(wordnet(), mining, "wordnet")
    path = Path(source)
    if path.is_dir():
        return candidates(folder(path), mining, path.name)
    if not path.is_file():
        raise ValueError(
            f"no words {str(source)!r}; use wordnet, vocabulary, a file with a word a line, or a "
            "folder of noun.*.txt and adj.*.txt"
        )
    if mining.exclude:
        raise ValueError(f"{path.name} is one list, and of one none can be excluded; give a folder")
    known = Negatives.load(path, mining.method)
    nouns, adjectives = (
        tuple(word.word for word in known.words if word.kind == kind) for kind in KINDS
    )
    return Words(nouns, adjectives, path.name)


def vocabulary(concepts: Collection[str], without: Collection[str] = ()) -> Words:
    """What a backbone was taught, without labels, whatever their case.

    Raises:
        ValueError: it was taught more than can be listed, or nothing else than the labels.
    """
    if not concepts:
        raise ValueError(
            "the backbone's vocabulary is not known, as of any large model; use wordnet"
        )
    labels = {name.casefold() for name in without}
    left = tuple(name for name in dict.fromkeys(concepts) if name.casefold() not in labels)
    if not left:
        raise ValueError("the labels are all that the backbone was taught; use fewer, or wordnet")
    return Words(left, source="vocabulary", share=1.0)


def candidates(lists: Lists, mining: Mining, source: str) -> Words:
    """The words of all lists that are not excluded, as the method sets them.

    Raises:
        ValueError: a list to exclude that is not there.
    """
    method = METHODS[mining.method]
    strange = [name for name in mining.exclude or () if name not in lists]
    if strange:
        raise ValueError(
            f"exclude names {few(strange)}, and {source} has no such list; it has "
            f"{', '.join(sorted(lists))}"
        )
    exclude = method.exclude if mining.exclude is None else mining.exclude
    kinds: dict[str, list[str]] = {"noun": [], "adj": []}
    known: set[str] = set()
    for name in sorted(lists):
        if name in exclude:
            continue
        for word in lists[name]:
            word = word.replace("_", " ").strip() if method.superclasses else word
            if word not in known:
                known.add(word)
                kinds[name.partition(".")[0]].append(word)
    adjectives = kinds["adj"]
    if method.superclasses:
        draw = random.Random(mining.seed)
        adjectives = [f"{word} {draw.choice(method.superclasses)}" for word in adjectives]
    return Words(tuple(kinds["noun"]), tuple(adjectives), source)


@lru_cache(maxsize=1)
def wordnet() -> Lists:
    """WordNet 3.0's nouns and adjectives by lexicographer file (`noun.animal` ...)."""
    return json.loads(lzma.decompress((WORDS / "wordnet.json.xz").read_bytes()))


def folder(path: Path) -> Lists:
    """The lists of a folder, by the names of its files without .txt.

    Raises:
        ValueError: it has none, or one cannot be read.
    """
    files = sorted(file for file in path.glob("*.txt") if LIST.fullmatch(file.stem))
    if not files:
        raise ValueError(f"{path} holds no noun.*.txt or adj.*.txt; put word lists there")
    return {file.stem: _lines(file) for file in files}


def _lines(file: Path) -> list[str]:
    try:
        return once(read(file).split("\n"))
    except ValueError as error:
        raise ValueError(f"{file.name}: {error}") from None
