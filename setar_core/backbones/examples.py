"""Labels by example: a label's row is the mix of its text and of pictures that show it.

With few pictures a label this is the prototype classifier beside CLIP's text (the idea of
arXiv:2111.03930, without its training): `(1 - share) text + share mean(pictures)`, each of unit
length, and again unit length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.images import ImageError, batches
from ..labels.examples import SHARE, check_share
from ..memory import IMAGES_WATCHED
from .base import Backbone, BackboneError, Classifier


class Examples(NamedTuple):
    """Unit features of pictures, `(n, D)`, and the label of each by index, `(n,)`."""

    features: Tensor
    classes: Tensor

    def halves(self) -> tuple[Examples, Examples]:
        """Every second picture of each label, and the others."""
        odd = torch.zeros(len(self.classes), dtype=torch.bool)
        for label in self.classes.unique():
            odd[(self.classes == label).nonzero().flatten()[1::2]] = True
        return self.some(~odd), self.some(odd)

    def some(self, rows: Tensor) -> Examples:
        """Those of a mask `(n,)`."""
        return Examples(self.features[rows], self.classes[rows])


class Held(NamedTuple):
    """Shares of held pictures whose best label is theirs, by text alone and with the others as
    examples; of how many."""

    text: float
    mixed: float
    pictures: int


def read_examples(
    backbone: Backbone,
    paths: Sequence[Path],
    classes: Sequence[int],
    on_error: Callable[[ImageError], object] | None = None,
) -> Examples:
    """Pictures as the backbone sees them; one of no label (-1) is passed over.

    Raises:
        BackboneError: a classifier's head has no texts to mix with.
        ValueError: no picture that can be read.
    """
    if not backbone.has_text:
        raise BackboneError(
            f"{backbone.name} has no text tower: its labels are its head's, and no picture can be "
            "mixed with them; use a CLIP"
        )
    known = {path: label for path, label in zip(paths, classes, strict=True) if label >= 0}
    features, found = [], []
    for batch in batches(known, backbone.preprocess, IMAGES_WATCHED, on_error=on_error):
        features.append(backbone.features(batch.pixels).whole.cpu())
        found += [known[path] for path in batch.paths]
    if not found:
        raise ValueError(
            "no example shows a label; give pictures in folders that bear the labels' names"
        )
    return Examples(torch.cat(features), torch.tensor(found))


def with_examples(classifier: Classifier, examples: Examples, share: float = SHARE) -> Classifier:
    """Each label that has examples, mixed with their mean; the others as their text has them.

    Raises:
        ValueError: a share that is not in [0, 1].
    """
    check_share(share)
    rows, device = classifier.weight, classifier.weight.device
    classes = examples.classes.to(device)
    sums = torch.zeros_like(rows).index_add(0, classes, examples.features.to(device))
    shown = classes.unique()
    means = F.normalize(sums[shown], dim=-1)

    def mixed(rows: Tensor) -> Tensor:
        rows = rows.clone()
        rows[..., shown, :] = F.normalize((1 - share) * rows[..., shown, :] + share * means, dim=-1)
        return rows

    templates = None if classifier.templates is None else mixed(classifier.templates)
    return classifier._replace(
        weight=mixed(rows), examples=_fingerprint(examples, share), templates=templates
    )


def held_accuracy(classifier: Classifier, examples: Examples, share: float = SHARE) -> Held:
    """What examples are worth on pictures that are none: each half judges the other.

    Raises:
        ValueError: no label has two pictures.
    """
    one, other = examples.halves()
    if not len(other.classes):
        raise ValueError(
            "no label has two examples, so none can be held back to measure; give more"
        )
    right = [
        (_right(classifier, judged), _right(with_examples(classifier, shown, share), judged))
        for shown, judged in ((one, other), (other, one))
    ]
    count = len(examples.classes)
    text, mixed = (sum(pair) / count for pair in zip(*right, strict=True))
    return Held(text, mixed, count)


def _right(classifier: Classifier, examples: Examples) -> int:
    best = (examples.features @ classifier.weight.cpu().T).argmax(dim=-1)
    return int((best == examples.classes).sum())


def _fingerprint(examples: Examples, share: float) -> str:
    text = hashlib.sha256(repr(float(share)).encode())
    for tensor in examples:
        text.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return text.hexdigest()
