"""From candidates to negative labels: the words that are farthest from all labels.

NegLabel (arXiv:2403.20078) and CSP (arXiv:2410.08611). A word's distance is a high quantile of its
cosines to the labels; the smallest are kept, nouns first. Ties stay in the order of reading.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ..backbones.base import FEW, Backbone
from ..backbones.progress import Progress, finished
from ..data.negatives import Negative, Negatives
from ..data.negatives.methods import DEFAULT, Mining
from ..data.negatives.words import Words
from ..labels import LabelSet
from .embeddings import TextFeatures, counted
from .evidence import NegativeClassifier

COSINES = 2**22  # of words with labels at a time, 16 MB
TOLD = 50  # times at most that progress is told

Result = TypeVar("Result")


class Mined(NamedTuple):
    """The negatives, and what the backbone that chose them makes of them."""

    negatives: Negatives
    classifier: NegativeClassifier


def default_words(backbone: Backbone) -> str:
    """Where candidates are from unless a person says: what it was taught, if it knows only that."""
    return "vocabulary" if backbone.concepts else "wordnet"


def mine(
    backbone: Backbone,
    labels: LabelSet,
    words: Words,
    settings: Mining = DEFAULT,
    progress: Progress | None = None,
) -> Mined:
    """As `mining`, to its end; `progress` is told how many prompts have been read."""
    total = _prompts(labels, words, settings)
    return _finished(mining(backbone, labels, words, settings), total, "candidates", progress)


def in_known_words(backbone: Backbone, labels: LabelSet, settings: Mining) -> Mining:
    """With the labels' own prompt around nouns, where the backbone was never taught a word of the
    method's and nobody chose one; its text features of such a sentence mean nothing."""
    around = " ".join(settings.templates["noun"])
    if settings.prompt is not None or not backbone.unknown_words(around):
        return settings
    return replace(settings, prompt=labels.prompt)


@torch.inference_mode()
def mining(
    backbone: Backbone, labels: LabelSet, words: Words, settings: Mining = DEFAULT
) -> Generator[int, None, Mined]:
    """The negatives among the words; yields how many prompts have been read.

    Raises:
        ValueError: a backbone without a text tower, more asked for than there are candidates,
            none that is left, a distance that is no finite number.
    """
    if settings.share is None and settings.count is None:
        settings = replace(settings, share=words.share)
    settings = in_known_words(backbone, labels, settings)
    features, templates = TextFeatures(backbone), settings.templates
    ids = yield from features.reading(labels.names, templates["noun"])
    done = len(labels) * len(templates["noun"])
    chosen: list[Negative] = []
    kept_rows: list[Tensor] = []
    left_out = 0
    kinds = {"noun": words.nouns, "adj": words.adjectives}
    for (kind, candidates), count in zip(kinds.items(), _counts(words, settings), strict=True):
        rows = yield from counted(done, features.reading(candidates, templates[kind]))
        done += len(candidates) * len(templates[kind])
        distance, nearest = distances(rows, ids, settings.quantile, settings.nearest, count)
        if not nearest.isfinite().all():
            raise ValueError(
                f"a word's distance to the labels is no finite number: what {backbone.name} "
                "computes leaves the range of float32; use another backbone"
            )
        like = nearest > settings.nearest
        order = distance.argsort(stable=True)
        order = order[~like[order]][:count]
        left_out += int(like.sum())
        far = distance[order].tolist()
        some = [candidates[i] for i in order.tolist()]
        chosen += map(Negative, some, [kind] * len(some), far)
        kept_rows.append(rows[order])
        features.keep(some, templates[kind], kept_rows[-1])
    if not chosen:
        raise ValueError(
            f"none of {len(words)} candidates is left; take a larger share, more words, or leave "
            "out fewer"
        )
    negatives = Negatives(
        tuple(chosen),
        settings,
        labels.names,
        backbone.name,
        features.weights,
        backbone.variant,
        len(words),
        left_out,
    )
    return Mined(negatives, _classifier(backbone, negatives, ids, torch.cat(kept_rows)))


def negative_classifier(
    backbone: Backbone,
    labels: LabelSet,
    negatives: Negatives,
    progress: Progress | None = None,
) -> NegativeClassifier:
    """What the backbone, as it is, makes of labels and negatives; a word list is mined first.

    Raises:
        ValueError: negatives of other labels, a backbone without a text tower.
    """
    negatives.check(labels)
    if not negatives.is_mined:
        words = Words(tuple(word.word for word in negatives.words))
        return mine(backbone, labels, words, negatives.mining, progress).classifier
    steps = reading_negatives(backbone, labels, negatives)
    templates = negatives.mining.templates
    total = len(labels) * len(templates["noun"])
    total += sum(len(templates[word.kind]) for word in negatives.words)
    return _finished(steps, total, "negatives", progress)


@torch.inference_mode()
def reading_negatives(
    backbone: Backbone, labels: LabelSet, negatives: Negatives
) -> Generator[int, None, NegativeClassifier]:
    """The same of negatives that were mined; yields how many prompts have been read."""
    features, templates = TextFeatures(backbone), negatives.mining.templates
    ids = yield from features.reading(labels.names, templates["noun"])
    done = len(labels) * len(templates["noun"])
    rows = torch.empty(len(negatives), ids.shape[1])
    for kind, around in templates.items():
        at = [i for i, word in enumerate(negatives.words) if word.kind == kind]
        some = [negatives.words[i].word for i in at]
        rows[at] = yield from counted(done, features.reading(some, around))
        done += len(some) * len(around)
    return _classifier(backbone, negatives, ids, rows)


def distances(
    rows: Tensor, ids: Tensor, quantile: float, limit: float = math.inf, count: int | None = None
) -> tuple[Tensor, Tensor]:
    """Of unit features `(N, D)` the quantile and the largest of their cosines to `ids (K, D)`,
    each `(N,)`.

    With a `count` those of the words that are not among so many smallest may be infinite; words
    with a cosine above the `limit` are not counted. A word with more cosines above the count-th
    smallest so far than lie above the quantile needs no sort.
    """
    far, near = rows.new_full((len(rows),), math.inf), rows.new_empty(len(rows))
    last = len(ids) - 1
    rank = float(torch.tensor(quantile)) * last  # in float32 and then in float64, as there
    above = last - int(rank) + 1
    cut, found = math.inf, rows.new_empty(0)  # the smallest so far
    for piece in torch.arange(len(rows)).split(max(1, COSINES // len(ids))):
        cosines = rows[piece] @ ids.T
        near[piece] = cosines.amax(dim=1)
        some = piece
        if cut < math.inf:
            close = cosines.gt(cut).sum(dim=1, dtype=torch.int32) < above
            some, cosines = piece[close], cosines[close]
        far[some] = _quantile(cosines, above, rank - int(rank))
        if count is not None:
            found = torch.cat([found, far[some][near[some] <= limit]]).sort().values[:count]
            cut = float(found[-1]) if 0 < len(found) == count else math.inf
    return far, near


def _quantile(cosines: Tensor, count: int, share: float) -> Tensor:
    """`torch.quantile` along the last axis, which would sort all of it: between the two smallest
    of the `count` largest."""
    top = cosines.topk(count).values
    return torch.lerp(top[:, -1], top[:, -2] if count > 1 else top[:, -1], share)


def _counts(words: Words, settings: Mining) -> tuple[int, int]:
    """How many nouns and how many adjectives to keep."""
    nouns, adjectives = len(words.nouns), len(words.adjectives)
    if settings.count is None:
        share = settings.share or 0.0
        return int(nouns * share), int(adjectives * share)
    if settings.count > len(words):
        raise ValueError(
            f"count is {settings.count}, and there are {len(words)} candidates; ask for at most "
            "as many"
        )
    some = round(settings.count * nouns / len(words))
    return some, settings.count - some


def _prompts(labels: LabelSet, words: Words, settings: Mining) -> int:
    """How many are read."""
    nouns, adjectives = map(len, settings.templates.values())
    return (len(labels) + len(words.nouns)) * nouns + len(words.adjectives) * adjectives


def _classifier(
    backbone: Backbone, negatives: Negatives, ids: Tensor, rows: Tensor
) -> NegativeClassifier:
    words = tuple(word.word for word in negatives.words)
    device = backbone.device
    return NegativeClassifier(ids.to(device), rows.to(device), words, negatives.fingerprint)


def _finished(
    steps: Generator[int, None, Result], total: int, what: str, progress: Progress | None
) -> Result:
    said = f"reading {what}: {{:,}} of {total:,} prompts"
    return finished(steps, total, max(FEW, total // TOLD), progress, said)
