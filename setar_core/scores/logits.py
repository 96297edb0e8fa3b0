"""How sure is the model that an image is one of the labels: every score, and `SCORES`.

A score is a pure function of logits. Higher is more in-distribution, always. The temperature T
divides the raw cosine (for classifiers: the logits); the scale in the logits is taken out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..backbones.base import Logits

TEMPERATURES = (1e-6, 1e6)  # the lowest and the highest


@dataclass(frozen=True)
class Score:
    """A score and what a person needs to know of it.

    Attributes:
        name: as the command line and recipes write it.
        title: as the literature writes it.
        question: what it asks, in plain words.
        formula: with cos = g.t_c and p = softmax(cos / T) over the labels.
        source: where it was published.
        uses_local: needs the logits of patches.
        uses_temperature: changes with T.
    """

    name: str
    title: str
    question: str
    formula: str
    source: str
    function: Callable[..., Tensor]
    uses_local: bool = False
    uses_weight: bool = False
    uses_temperature: bool = True

    def __call__(
        self, logits: Logits, temperature: float = 1.0, local_weight: float = 1.0
    ) -> Tensor:
        """The score of every image, `(B,)`.

        Raises:
            ValueError: a temperature out of its range, patches that are not there.
        """
        check_temperature(temperature)
        if self.uses_local and logits.local is None:
            raise ValueError(f"{self.title} needs the logits of patches, and there are none")
        named = logits.among_id()
        if self.uses_weight:
            return self.function(named, temperature, local_weight)
        return self.function(named, temperature) if self.uses_temperature else self.function(named)


def check_temperature(temperature: float) -> None:
    """Raises ValueError for one at which float32 can form no score."""
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise ValueError(
            f"temperature is {temperature}; give a number from {low:g} to {high:g}, such as 1"
        )


def mcm(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Maximum concept matching (arXiv:2211.13445): max softmax over the labels; in (0, 1]."""
    return _softmax(logits, temperature).amax(dim=-1)


def l_mcm(logits: Logits, temperature: float = 1.0) -> Tensor:
    """The local half of GL-MCM (arXiv:2304.04521): the same maximum over all patches; in (0, 1]."""
    return _surest(logits.local / (logits.scale * temperature)).amax(dim=-1)


def gl_mcm(logits: Logits, temperature: float = 1.0, local_weight: float = 1.0) -> Tensor:
    """Global and local concept matching (arXiv:2304.04521): `mcm + local_weight * l_mcm`."""
    return mcm(logits, temperature) + local_weight * l_mcm(logits, temperature)


def energy(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Negative free energy (arXiv:2010.03759): `T * logsumexp(cos / T)`."""
    return temperature * (logits.whole / (logits.scale * temperature)).logsumexp(dim=-1)


def max_logit(logits: Logits) -> Tensor:
    """The largest cosine, for classifiers the largest logit (arXiv:1911.11132)."""
    return logits.whole.amax(dim=-1) / logits.scale


def msp(logits: Logits) -> Tensor:
    """Maximum softmax probability at the model's own scale (arXiv:1610.02136); in (0, 1]."""
    return probabilities(logits).amax(dim=-1)


def entropy(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Negative entropy of the softmax, in nats (arXiv:2211.13445); in [-log K, 0]."""
    p = _softmax(logits, temperature)
    return torch.special.entr(p).sum(dim=-1).neg()


def variance(logits: Logits, temperature: float = 1.0) -> Tensor:
    """Variance of the softmax over the labels (arXiv:2406.12629); 0 when all are alike."""
    return _softmax(logits, temperature).var(dim=-1, correction=0)


def probabilities(logits: Logits) -> Tensor:
    """What is shown beside labels, `(B, K)`: the softmax of the logits at the model's own scale."""
    return logits.among_id().whole.softmax(dim=-1)


def patch_map(logits: Logits) -> Tensor:
    """How sure each patch is of its best label, `(B, h, w)` in (0, 1], at the model's scale."""
    return _surest(logits.among_id().local).unflatten(1, logits.grid)


def patch_best(logits: Logits) -> Tensor:
    """The index of each patch's best label, `(B, h, w)`."""
    return logits.among_id().local.argmax(dim=-1).unflatten(1, logits.grid)


def _surest(scaled: Tensor) -> Tensor:
    """The largest softmax of every patch, `(B, P, C)` to `(B, P)`; by way of a logarithm it would
    lose digits, and so the order of near patches."""
    return scaled.softmax(dim=-1).amax(dim=-1)


def _softmax(logits: Logits, temperature: float) -> Tensor:
    return (logits.whole / (logits.scale * temperature)).softmax(dim=-1)


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "mcm",
            "MCM",
            "How clearly does one label stand out for the whole image?",
            "max p",
            "arXiv:2211.13445",
            mcm,
        ),
        Score(
            "gl_mcm",
            "GL-MCM",
            "Does one label stand out for the whole image, or for one place in it?",
            "MCM + w * L-MCM",
            "arXiv:2304.04521",
            gl_mcm,
            uses_local=True,
            uses_weight=True,
        ),
        Score(
            "l_mcm",
            "L-MCM",
            "Does one label stand out in at least one place of the image?",
            "max over patches of max p",
            "arXiv:2304.04521",
            l_mcm,
            uses_local=True,
        ),
        Score(
            "energy",
            "Energy",
            "How much do all labels together resemble the image?",
            "T * logsumexp(cos / T)",
            "arXiv:2010.03759",
            energy,
        ),
        Score(
            "max_logit",
            "MaxLogit",
            "How much does the best label resemble the image?",
            "max cos",
            "arXiv:1911.11132",
            max_logit,
            uses_temperature=False,
        ),
        Score(
            "msp",
            "MSP",
            "How probable is the best label, at the model's own sharpness?",
            "max softmax(logits)",
            "arXiv:1610.02136",
            msp,
            uses_temperature=False,
        ),
        Score(
            "entropy",
            "Entropy",
            "How little is the belief spread over the labels?",
            "sum p log p",
            "arXiv:2211.13445",
            entropy,
        ),
        Score(
            "variance",
            "Variance",
            "How uneven is the belief between the labels?",
            "var p",
            "arXiv:2406.12629",
            variance,
        ),
    )
}
