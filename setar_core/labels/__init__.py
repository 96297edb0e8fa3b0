"""The names an image is compared with, and the prompts they are set into: `LabelSet`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.strict import is_text
from ..paths import LABELS, PROMPTS
from .reading import is_visible, names_in

PROMPT = "a photo of a {}"
MAX_LABELS = 25_000  # ImageNet-21k has 21,843 classes
MAX_LENGTH = 200  # characters; CLIP reads 77 tokens
MAX_PROMPTS = 200_000  # labels times templates; ImageNet with 80 templates has 80,000
MAX_BYTES = 5_000_000


@dataclass(frozen=True)
class LabelSet:
    """K in-distribution names, and a prompt with one `{}` for the name.

    A prompt of several lines is as many templates, and a label what they mean together; the name
    of a shipped list (`shipped_prompts`) stands for its templates.

    Raises:
        ValueError: fewer than two names, an empty or overlong one, too many, a prompt without `{}`.
    """

    names: tuple[str, ...]
    prompt: str = PROMPT

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names:
            raise ValueError("the label set is empty; write at least two labels, one a line")
        if len(self.names) == 1:
            raise ValueError(
                f"{short(self.names[0])} is the only label, and no score can be formed from one; "
                "add at least one more"
            )
        if len(self.names) > MAX_LABELS:
            raise ValueError(f"{len(self.names)} labels are too many; use at most {MAX_LABELS}")
        for name in self.names:
            if not isinstance(name, str) or not is_visible(name):
                raise ValueError(f"label {name!r} has no text; write a word or remove it")
            if not is_text(name):
                raise ValueError(f"label {short(name)} is no Unicode text; write it again")
            if len(name) > MAX_LENGTH:
                raise ValueError(
                    f"label {short(name)} has {len(name)} characters; use at most {MAX_LENGTH}"
                )
        if isinstance(self.prompt, str):
            object.__setattr__(self, "prompt", _prompt_of(self.prompt))
        for template in self.templates or (self.prompt,):
            check_template(template)
        if len(self.names) * len(self.templates) > MAX_PROMPTS:
            raise ValueError(
                f"{len(self.names)} labels in {len(self.templates)} templates are too many "
                f"prompts; use at most {MAX_PROMPTS}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def templates(self) -> tuple[str, ...]:
        """The lines of the prompt, T of them."""
        return tuple(self.prompt.split("\n")) if isinstance(self.prompt, str) else ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """One sentence a name, template after template: T * K texts."""
        return tuple(sentence(template, name) for template in self.templates for name in self.names)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Names that occur more than once: they share their probability between them."""
        return tuple(name for name, count in Counter(self.names).items() if count > 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the names in their order and the prompt."""
        text = json.dumps(
            [self.names, [], self.prompt], allow_nan=False
        )  # the list is of files that were kept
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


def sentence(template: str, name: str) -> str:
    """The template with the name in its place; a brace in the name stays one."""
    before, after = template.split("{}")
    return before + name + after


def check_template(template: str) -> None:
    """Raises ValueError for a template without one `{}`, or an overlong one."""
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(
            f"prompt {short(template)} must hold {{}} once, where the label goes; e.g. {PROMPT!r}"
        )
    if not is_text(template):
        raise ValueError(f"prompt {short(template)} is no Unicode text; write it again")
    if len(template) > MAX_LENGTH:
        raise ValueError(f"the prompt has {len(template)} characters; use at most {MAX_LENGTH}")


def usual_top_k(labels: int) -> int:
    """K of the LoCoOp loss for so many labels: 0.3 of them, as the authors' settings come to."""
    return max(1, min(labels - 1, round(0.3 * labels)))


def shipped_prompts() -> dict[str, Path]:
    """The lists of templates in `assets/prompts`, name to file, in alphabetical order."""
    return {path.stem: path for path in sorted(PROMPTS.glob("*.txt"))}


def _prompt_of(text: str) -> str:
    """The templates, one a line, without empty lines; a list's where its name is given."""
    if "{}" not in text and (path := shipped_prompts().get(text.strip())):
        text = path.read_text(encoding="utf-8")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return "\n".join(dict.fromkeys(line for line in lines if line.strip())) or text


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
