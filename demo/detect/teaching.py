"""What a visitor's own pictures tell of a threshold: both error rates, and which score can work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from demo.detect.batch import Batch
from setar_core.metrics.separation import recall_interval, separation
from setar_core.scores import SCORES

FEW_LABELS = 5  # below, scores that compare labels with each other can hardly refuse anything
COMPARING = ("mcm", "gl_mcm", "l_mcm", "msp", "entropy", "variance", "gen")
BETTER = 0.02  # of AUROC, from which on another score is named


class Rate(NamedTuple):
    """A share of pictures with its 95 % interval (Clopper and Pearson, 1934)."""

    found: int
    of: int

    @property
    def sentence(self) -> str:
        low, high = recall_interval(self.found, self.of)
        share = self.found / self.of
        return f"{self.found} of {self.of} ({share:.0%}; {low:.0%} to {high:.0%} of new ones)"


class Mistakes(NamedTuple):
    """What one threshold does to pictures whose truth is known."""

    refused: Rate
    accepted: Rate


def mistakes(batch: Batch, weights: str) -> Mistakes | None:
    """By the threshold as it is now; None where no foreign picture was given."""
    foreign = batch.foreign.get(weights, {}).get(batch.settings.score)
    line = batch.line(weights)
    if not foreign or line is None or weights not in batch.every:
        return None
    known = batch.calibration[weights].scores
    return Mistakes(
        Rate(sum(score < line for score in known), len(known)),
        Rate(sum(score >= line for score in foreign), len(foreign)),
    )


def trade_off(batch: Batch, weights: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds in their order, and at each what is refused and what is accepted by mistake,
    `(n,)` each, in per cent."""
    known = np.sort(batch.calibration[weights].scores)
    foreign = np.sort(batch.foreign[weights][batch.settings.score])
    lines = np.unique(np.concatenate([known, foreign]))
    refused = np.searchsorted(known, lines, "left") / len(known)
    accepted = 1 - np.searchsorted(foreign, lines, "left") / len(foreign)
    return lines, 100 * refused, 100 * accepted


def advice(batch: Batch) -> str:
    """A score that tells the visitor's pictures apart better than the chosen one, or why the chosen
    one can hardly work; nothing where it is as good as any."""
    weights, chosen = batch.settings.weights[-1], batch.settings.score
    title, count = SCORES[chosen].title, len(batch.settings.labels)
    foreign, known = batch.foreign.get(weights, {}), batch.every.get(weights, {})
    few = count < FEW_LABELS and chosen in COMPARING
    reason = (
        f"{title} compares your labels with each other, and with {count} of them it can hardly "
        "refuse anything"
    )
    apart = {
        name: separation(known[name].scores, foreign[name]).auroc
        for name in foreign
        if name in known
    }
    if chosen not in apart:
        return f"{reason}. Give some pictures that show none of them." if few else ""
    best = max(apart, key=apart.__getitem__)
    if apart[best] < apart[chosen] + BETTER:
        return ""
    said = (
        f"of your pairs of a known and a foreign picture {title} puts {apart[chosen]:.0%} in the "
        f"right order, {SCORES[best].title} {apart[best]:.0%}: choose it as the score above"
    )
    return f"{reason}; {said}." if few else f"{said[0].upper()}{said[1:]}."
