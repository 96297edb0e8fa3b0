"""Which label each folder of a set stands for: `folder_classes`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from ..labels import LabelSet
from ..labels.reading import SYNSET


def folder_classes(
    folders: Sequence[str], labels: LabelSet
) -> tuple[dict[str, int] | None, tuple[str, ...]]:
    """The label's index of each folder, by its name; None where the folders do not tell.

    A folder is the label of its name: letter by letter, or else where only case, spaces, "_", "-"
    and how accents are encoded differ. ImageNet's own ids stand for its 1,000 labels. Where no
    folder bears a label's name and there are as many as labels, the i-th in sorted order is the
    i-th label.

    Also gives the folders that are no label, where some are and some are not: these are not
    guessed.
    """
    if all(map(SYNSET.fullmatch, folders)) and labels.names == LabelSet.load("imagenet1k").names:
        from timm.data.imagenet_info import ImageNetInfo

        exact: dict[str, int] = {id: i for i, id in enumerate(ImageNetInfo().label_names())}
    else:
        exact = _index(labels, _composed)
    alike = _index(labels, _plain)
    found = {name: exact.get(_composed(name), alike.get(_plain(name))) for name in folders}
    known = {name: i for name, i in found.items() if i is not None}
    if len(known) == len(found):
        return known, ()
    if known:
        return None, tuple(name for name in sorted(found) if name not in known)
    if len(found) == len(labels):
        return {name: i for i, name in enumerate(sorted(found))}, ()
    return None, ()


def _index(labels: LabelSet, form: Callable[[str], str]) -> dict[str, int]:
    """The first label of each name in that form."""
    return {form(labels.names[i]): i for i in reversed(range(len(labels)))}


def _composed(name: str) -> str:
    """The same letters in one form: macOS takes accents apart in names of files."""
    return unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    """What is alike: VOC writes "diningtable"."""
    return "".join(_composed(name.casefold()).replace("_", " ").replace("-", " ").split())
