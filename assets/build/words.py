"""The shipped word lists: WordNet's nouns and adjectives by lexicographer file.

apt-get install wordnet-base
python -m assets.build.words [--wordnet /usr/share/wordnet]
"""

import argparse
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path

from setar_core.paths import WORDS

PARTS = ("noun", "adj")
# By the number in a synset's second field; lexnames(5WN).
LISTS = {0: "adj.all", 1: "adj.pert", 44: "adj.ppl"} | {
    number: f"noun.{name}"
    for number, name in enumerate(
        (
            *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition"),
            *("communication", "event", "feeling", "food", "group", "location", "motive"),
            *("object", "person", "phenomenon", "plant", "possession", "process", "quantity"),
            *("relation", "shape", "state", "substance", "time"),
        ),
        start=3,
    )
}
MARKER = re.compile(r"\((a|p|ip)\)$")  # where an adjective may stand
HEADER = "  "  # begins the lines of the licence, before the first synset


def synsets(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """The list that a synset is in, and its lemmas: lower case, spaces, no markers."""
    for line in lines:
        if line.startswith(HEADER):
            continue
        _, number, _, count, *rest = line.split(" ")
        words = rest[: 2 * int(count, 16) : 2]  # between them stand the numbers of senses
        yield LISTS[int(number)], [MARKER.sub("", w).replace("_", " ").lower() for w in words]


def lists(folder: Path) -> dict[str, list[str]]:
    """The words of every list, each once, in WordNet's order; the lists by name."""
    found: dict[str, dict[str, None]] = {}
    for part in PARTS:
        with open(folder / f"data.{part}", encoding="ascii") as file:
            for name, words in synsets(file):
                found.setdefault(name, {}).update(dict.fromkeys(words))
    return {name: list(found[name]) for name in sorted(found)}


def licence(folder: Path) -> str:
    """What WordNet says of itself at the head of its files, without the numbers of the lines."""
    with open(folder / "data.noun", encoding="ascii") as file:
        lines = [line for line in file if line.startswith(HEADER)]
    return "".join(
        line.split(maxsplit=1)[1].rstrip() + "\n" if line.split()[1:] else "\n" for line in lines
    )


def packed(words: dict[str, list[str]]) -> bytes:
    text = json.dumps(words, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), metavar="DIR")
    folder = parser.parse_args().wordnet
    words = lists(folder)
    WORDS.mkdir(exist_ok=True)
    (WORDS / "wordnet.json.xz").write_bytes(packed(words))
    (WORDS / "LICENSE-WordNet.txt").write_text(licence(folder), encoding="ascii")
    for part in PARTS:
        count = len({w for name, some in words.items() if name.startswith(part) for w in some})
        print(f"{part:5} {count:,} words")


if __name__ == "__main__":
    main()
