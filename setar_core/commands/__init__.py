"""What the sub-commands share: arguments for the model, and its parts made from them.

A command's module has `add(commands)`, which describes it, and `run(args)`, which returns the exit
code: 0 for done, 1 when something was left out, and a ValueError for what it refuses.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..labels import PROMPT, LabelSet, few
from ..recipe import Recipe
from ..scores import ScoreOptions
from .console import say

if TYPE_CHECKING:
    from ..adapter import Adapter
    from ..backbones import Backbone
    from ..data.images import ImageError
    from ..data.names import Paths


def add_model(
    parser: argparse.ArgumentParser, prompt: str | None = PROMPT, required: bool = True
) -> None:
    """--backbone, --labels, --prompt and --device."""
    add_backbone(parser, required)
    parser.add_argument(
        "--labels",
        required=required,
        metavar="L",
        help="a shipped set (animals, imagenet1k ...), a .txt with one label a line, .csv or .json",
    )
    parser.add_argument(
        "--prompt",
        default=prompt,
        metavar="P",
        help=f"the sentence around a label ({'that of the method' if prompt is None else prompt})",
    )
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 or mps")


def add_backbone(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """--backbone."""
    parser.add_argument(
        "--backbone",
        required=required,
        metavar="B",
        help="emoji, ViT-B-16/openai, local-dir:PATH, timm:NAME ...",
    )


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """--images, of which the label is known."""
    parser.add_argument(
        "--images",
        required=True,
        metavar="DIR",
        help="a folder of images for each label, or for some, named as they are",
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """--recipe and --prune."""
    parser.add_argument(
        "--recipe", metavar="R", help="a shipped recipe's name, or a .json (ours or the authors')"
    )
    parser.add_argument(
        "--prune",
        choices=("minor", "principal"),
        help="what the authors' list form drops, which it does not say (minor)",
    )


def add_adapter(parser: argparse.ArgumentParser) -> None:
    """--adapter."""
    parser.add_argument(
        "--adapter", metavar="FILE", help="what `setar finetune` trained; it brings its recipe"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """A flag for each option of scores."""
    for option in fields(ScoreOptions):
        parser.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=option.metadata.get("kind", float),
            default=option.default,
            metavar=option.metadata["symbol"],
            help=option.metadata["help"]
            + ("" if option.default is None else f" ({option.default:g})"),
        )


def score_options(args: argparse.Namespace) -> ScoreOptions:
    """Raises ValueError for one out of its range."""
    return ScoreOptions(
        **{option.name: getattr(args, option.name) for option in fields(ScoreOptions)}
    )


def open_model(args: argparse.Namespace) -> tuple[Backbone, LabelSet]:
    """The backbone with its recipe, and the labels; a doubtful label is warned about on stderr."""
    labels = LabelSet.load(args.labels, args.prompt)
    backbone = open_backbone(args, args.device)
    warn(labels, backbone)
    return backbone, labels


def open_backbone(args: argparse.Namespace, device: str = "cpu") -> Backbone:
    """The backbone with its recipe or its adapter, where they are asked for and given."""
    recipe = open_recipe(args.recipe, args.prune) if getattr(args, "recipe", None) else None
    if hasattr(args, "recipe") and recipe is None and args.prune:
        raise ValueError("--prune is for a --recipe, and there is none; leave it out or give one")
    adapter = open_adapter(args.adapter) if getattr(args, "adapter", None) else None
    if adapter and recipe:
        raise ValueError("--adapter brings the recipe below it; leave --recipe out")
    from ..backbones import load_backbone

    return load_backbone(args.backbone, device, progress=say).altered(adapter or recipe)


def open_adapter(path: str) -> Adapter:
    """Raises ValueError for what is no adapter."""
    from ..adapter import Adapter

    return Adapter.load(path)


def open_recipe(path: str, prune: str | None) -> Recipe:
    """Raises ValueError when `prune` contradicts what the recipe itself says."""
    recipe = Recipe.load(path, prune or "minor")
    if prune and recipe.prune != prune:
        raise ValueError(
            f"recipe {path} says prune {recipe.prune!r}, --prune says {prune!r}; leave --prune "
            "out: it is for the authors' list form"
        )
    return recipe


def warn(labels: LabelSet, backbone: Backbone) -> None:
    """Tell of labels that are or become one, and of words that the text tower never saw."""
    for sentence in (*labels.doubts, *backbone.doubts(labels)):
        say(f"warning: {sentence}")
    strange = [name for name in labels.prompts if backbone.unknown_words(name)]
    words = dict.fromkeys(word for name in strange for word in backbone.unknown_words(name))
    if words:
        say(
            f"warning: {backbone.name} was never trained on these words, so their labels mean "
            f"little to it: {few(tuple(words))}"
        )


def warn_numbers(folder: str) -> None:
    """Tell of class folders that are numbers and whose order as text is another."""
    names = sorted(path.name for path in Path(folder).glob("*") if path.is_dir())
    if all(map(str.isdecimal, names)) and names != sorted(names, key=int):
        say(
            f"warning: the folders of {folder} are taken as text, in the order "
            f"{few(tuple(names))}; pad their numbers with zeros if you mean another"
        )


def existing(paths: Iterable[str]) -> Paths:
    """The image files that the paths name; what shards hold besides is told.

    Raises:
        ValueError: a path that does not exist, a folder or a shard without images.
    """
    from ..data.images import each_image
    from ..data.names import Names, Paths
    from ..data.shards import expanded, told

    every = list(expanded(paths))
    for path in every:
        if not path.exists():
            raise ValueError(f"{path}: no such file or folder; check its spelling")
    passed: Counter[str] = Counter()
    found = Paths(Names(each_image(every, passed)))
    if passed:
        say(f"passed over in the shards: {told(passed)}")
    return found


class Skipped:
    """Told of each image that could not be read; says so on stderr and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: ImageError) -> None:
        self.count += 1
        say(f"skipped: {error}")


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def printable(text: object) -> str:
    """Text that can be written as UTF-8: a byte of a file name that is none becomes `\\udcXX`."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
