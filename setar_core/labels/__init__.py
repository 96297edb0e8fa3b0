"""The names an image is compared with, and the prompt they are set into: `LabelSet`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.strict import is_text
from ..paths import LABELS
from .reading import is_visible, names_in

PROMPT = "a photo of a {}"
MAX_LABELS = 25_000  # ImageNet-21k has 21,843 classes
MAX_LENGTH = 200  # characters; CLIP reads 77 tokens
MAX_BYTES = 5_000_000


@dataclass(frozen=True)
class LabelSet:
    """K in-distribution names, optional negatives, and a prompt with one `{}` for the name.

    Negatives are labels that an image must not resemble; they are scored beside the names but
    are never a verdict.

    Raises:
        ValueError: fewer than two names, an empty or overlong one, too many, a prompt without `{}`.
    """

    names: tuple[str, ...]
    prompt: str = PROMPT
    negatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "negatives", tuple(self.negatives))
        if not self.names:
            raise ValueError("the label set is empty; write at least two labels, one a line")
        if len(self.names) == 1:
            raise ValueError(
                f"{short(self.names[0])} is the only label, and no score can be formed from one; "
                "add at least one more"
            )
        total = len(self.names) + len(self.negatives)
        if total > MAX_LABELS:
            raise ValueError(f"{total} labels are too many; use at most {MAX_LABELS}")
        for name in self.names + self.negatives:
            if not isinstance(name, str) or not is_visible(name):
                raise ValueError(f"label {name!r} has no text; write a word or remove it")
            if not is_text(name):
                raise ValueError(f"label {short(name)} is no Unicode text; write it again")
            if len(name) > MAX_LENGTH:
                raise ValueError(
                    f"label {short(name)} has {len(name)} characters; use at most {MAX_LENGTH}"
                )
        if not isinstance(self.prompt, str) or self.prompt.count("{}") != 1:
            raise ValueError(
                f"prompt {short(self.prompt)} must hold {{}} once, where the label goes; "
                f"e.g. {PROMPT!r}"
            )
        if not is_text(self.prompt):
            raise ValueError(f"prompt {short(self.prompt)} is no Unicode text; write it again")
        if len(self.prompt) > MAX_LENGTH:
            raise ValueError(
                f"the prompt has {len(self.prompt)} characters; use at most {MAX_LENGTH}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def prompts(self) -> tuple[str, ...]:
        """One sentence a name, then one a negative: K + N texts."""
        before, after = self.prompt.split("{}")
        return tuple(before + name + after for name in self.names + self.negatives)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Names that occur more than once: they share their probability between them."""
        return tuple(name for name, count in Counter(self.names).items() if count > 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the names in their order, the negatives and the prompt."""
        text = json.dumps([self.names, self.negatives, self.prompt])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences about labels that are probably not what was meant."""
        found = []
        if self.duplicates:
            found.append(f"labels that occur twice share their probability: {few(self.duplicates)}")
        numbers = [name.partition(" ")[0] for name in self.names if " " in name]
        if numbers in ([str(i + first) for i in range(len(self.names))] for first in (0, 1)):
            found.append(
                f"the numbers are read as part of the labels: {few(self.names)}; if they are none, "
                "write a colon after each"
            )
        return tuple(found)

    @classmethod
    def parse(cls, text: str, prompt: str = PROMPT, kind: str = "") -> LabelSet:
        """One label a line, or another form that `names_in` knows, by the `kind` of a file.

        Raises:
            ValueError: too long, or no list of labels.
        """
        if len(text) > MAX_BYTES:
            raise ValueError(f"the labels have {len(text)} characters; use at most {MAX_BYTES}")
        try:
            names = names_in(text, kind)
        except ValueError as error:
            raise ValueError(f"no list of labels: {error}") from None
        return cls(names, prompt)

    @classmethod
    def load(cls, spec: str | Path, prompt: str = PROMPT) -> LabelSet:
        """A shipped set's name, or a file: one label a line, a table, a JSON list or class index.

        Raises:
            ValueError: nothing of that name (the shipped sets are listed), or not labels.
        """
        path = shipped_label_sets().get(str(spec), Path(spec))
        if not path.is_file():
            raise ValueError(
                f"no label set {str(spec)!r}; use one of {', '.join(shipped_label_sets())}, "
                "or a path to a .txt, .csv or .json file"
            )
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.name} has {path.stat().st_size} bytes; at most {MAX_BYTES}")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{path.name} is not UTF-8 text; save the labels as UTF-8") from None
        try:
            return cls.parse(text, prompt, path.suffix.lower())
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None


def shipped_label_sets() -> dict[str, Path]:
    """The sets in `assets/labels`, name to file, in alphabetical order."""
    return {path.stem: path for path in sorted(LABELS.glob("*.txt"))}


def few(names: Sequence[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(name[:40] for name in names[:8]) + more


def short(text: object) -> str:
    """A text in quotes, with a point for each that is missing of its end."""
    text = str(text)
    return repr(text if len(text) <= 60 else text[:57] + "...")
