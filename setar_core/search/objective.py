"""What a recipe is worth on the calibration images: `Measures`, gathered chunk by chunk."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..backbones.base import Backbone, Classifier, Logits
from ..backbones.tower import Features
from ..data.calibration import CalibrationSet
from ..losses import Terms, terms
from ..memory import IMAGES
from ..metrics.separation import separation
from ..scores import SCORES, Score, ScoreOptions
from ..scores.evidence import Evidence
from .plan import LOSSES, SearchPlan, resolve
from .trial import Losses, Measures

EXAMPLES = 24  # images whose OOD patches an event carries


class Part(NamedTuple):
    """What some consecutive images are worth: `grid (h, w)` of their patches, the terms of each,
    and where the objective needs them the scores `(B,)` of the images and `(B, P)` of patches."""

    grid: tuple[int, int]
    terms: Terms
    id_scores: Tensor | None = None
    ood_scores: Tensor | None = None


class MeasureBuilder:
    """Collects the terms of every image in turn, and makes measures of them."""

    def __init__(self, backbone: Backbone, plan: SearchPlan, classes: Tensor) -> None:
        self.backbone = backbone
        self.plan = plan
        self.classes = classes.to(backbone.device)
        self.score = None if plan.objective in LOSSES else SCORES[plan.score]
        self.parts: list[Part] = []

    def parts_of(self, features: Features, classifier: Classifier, first: int) -> list[Part]:
        """Parts of images, the first of which is the `first` of all; nothing is collected."""
        return [
            self._part_of(logits, first + piece.start)
            for piece, logits in self.backbone.logits_in_pieces(features, classifier)
        ]

    def _part_of(self, logits: Logits, first: int) -> Part:
        plan, classes = self.plan, self.classes[first : first + len(logits)]
        assert plan.top_k is not None, "the plan is not resolved"
        part = terms(logits, classes, plan.top_k, plan.predicted_labels)
        if self.score is None:
            return Part(logits.grid, part)
        options = ScoreOptions(plan.temperature)
        scores = self.score(Evidence(logits), options)
        oods = patch_scores(self.score, logits, part.ood, options)
        return Part(logits.grid, part, scores, oods)

    def build(self) -> Measures:
        grids, found, inside, outside = zip(*self.parts, strict=True)
        parts = Terms(*map(torch.cat, zip(*found, strict=True)))
        metrics, ood = None, parts.ood.cpu()
        if self.score is not None and ood.any():
            metrics = separation(torch.cat(inside).cpu(), torch.cat(outside).cpu()[ood])
        examples = ood[:EXAMPLES].unflatten(1, grids[0])
        lost = losses(parts, self.plan.lambda_ood, self.plan.batch_size)
        return Measures(lost, metrics, examples)

    def shares(self) -> Tensor:
        """What each image adds to the objective, a loss, `(n,)`: their mean is the loss, and where
        patches have a mean of their own it is taken to the first order."""
        inside, outside, _, ood = zip(*(part.terms for part in self.parts), strict=True)
        counts = torch.cat(ood).sum(dim=1).double().cpu()
        cross, entropy = (torch.cat(found).double().cpu() for found in (inside, outside))
        mean = entropy.sum() / counts.sum().clamp(min=1)
        patches = mean + (entropy - mean * counts) / counts.mean().clamp(min=1 / len(counts))
        if self.plan.objective == "loss_id":
            return cross
        return (
            patches
            if self.plan.objective == "loss_ood"
            else (cross + self.plan.lambda_ood * patches)
        )


def patch_scores(score: Score, logits: Logits, ood: Tensor, options: ScoreOptions) -> Tensor:
    """The score of every patch as if it were an image, `(B, P)`; only OOD patches' mean anything.

    Its own logits stand for the whole image's; its local ones are those of all OOD patches of its
    image. The scores that read local logits take the largest over patches, so the patch with the
    largest alone stands for them all. Nothing is left out: a choice would wait for a GPU.
    """
    own = logits.patches.flatten(0, 1)  # (B * P, C)
    alone = Logits(own, own[:, None], (1, 1), logits.scale)
    if "patches" not in score.needs:
        return score(Evidence(alone), options).view(ood.shape)
    sure = SCORES["l_mcm"](Evidence(alone), options).view(ood.shape)
    best = sure.masked_fill(~ood, -math.inf).argmax(dim=1)  # (B,)
    strongest = logits.patches.gather(1, best[:, None, None].expand(-1, 1, own.shape[1]))
    beside = strongest.expand_as(logits.patches).reshape(len(own), 1, -1)
    together = Logits(own, beside, (1, 1), logits.scale)
    return score(Evidence(together), options).view(ood.shape)


@torch.inference_mode()
def measure(backbone: Backbone, calibration: CalibrationSet, plan: SearchPlan) -> Measures:
    """The measures of a backbone as it stands, by its plain forward pass.

    Raises:
        ValueError: as the search refuses the plan.
    """
    plan = resolve(plan, backbone, calibration)
    classifier = backbone.classifier(calibration.labels)
    builder = MeasureBuilder(backbone, plan, calibration.classes)
    for first in range(0, len(calibration), IMAGES):
        features = backbone.features(calibration.images[first : first + IMAGES])
        builder.parts += builder.parts_of(features, classifier, first)
    return builder.build()


def losses(parts: Terms, lambda_ood: float, batch_size: int) -> Losses:
    """The losses of consecutive batches, averaged by their number of images.

    Each batch's OOD term is a mean over its own OOD patches, so the batch size matters.
    """
    counts = parts.ood.sum(dim=1)
    table = torch.stack(  # one transfer from the device
        [parts.cross_entropy.double(), parts.neg_entropy.double(), parts.hits.double(), counts]
    ).cpu()
    inside, outside, hits, counts = table  # (n,) each
    n = len(inside)
    starts = torch.arange(n) // batch_size  # the batch of each image
    batches = int(starts[-1]) + 1
    sums = torch.zeros(2, batches, dtype=torch.float64)
    sums.index_add_(1, starts, torch.stack([outside, counts]))
    means = sums[0] / sums[1].clamp(min=1)
    loss_id = float(inside.mean())
    loss_ood = float((means * starts.bincount()).sum() / n)
    return Losses(
        loss_id + lambda_ood * loss_ood,
        loss_id,
        loss_ood,
        100 * float(hits.mean()),
        100 * float(counts.sum()) / parts.ood.numel(),
    )
