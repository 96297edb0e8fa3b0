"""How sure is the model that an image is one of the labels: the scores there are, without PyTorch.

Higher is more in-distribution, always. A score is a function in one of the files beside this one
and an entry in `SCORES`; the command line, the page and the tests read them from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..data.strict import short
from .options import DEFAULTS as DEFAULTS
from .options import ScoreOptions as ScoreOptions

if TYPE_CHECKING:
    from torch import Tensor

    from .evidence import Evidence


# What a score may look at, as a message says it; see `Evidence`.
NEEDS = {
    "logits": "logits",
    "patches": "the logits of patches",
    "neglabel": "negative labels as NegLabel mines them",
    "csp": "negative labels as CSP mines them",
    "features": "features",
    "layers": "the features of every block",
    "head": "the head's weights",
    "classes": "the class of each ID image",
}
MINED = frozenset({"neglabel", "csp"})  # ways to mine negatives


@dataclass(frozen=True)
class Score:
    """A score and what a person needs to know of it.

    Attributes:
        name: as the command line and recipes write it.
        title: as the literature writes it.
        question: what it asks, in plain words.
        formula: with cos = g.t_c and p = softmax(cos / T) over the labels.
        source: where it was published.
        function: `file.name` in this folder, imported at the first call; or the function itself.
            It takes the parts of the evidence that the score needs, then the options it uses by
            name, and gives `(B,)`.
        needs: what it looks at, of `NEEDS`.
        uses: names of options that change it; one that is None leaves the function's own default.
        made_for: what its authors made and tried it for, in a sentence.
        learner: for a score that learns from ID images, a function as `function` that takes the
            parts of their evidence that it `learns_from` and the options it `learns_by`, and gives
            named tensors; `function` is given them by name before its options.
        tensors: the names of these tensors and their axes, such as "n D": D features, K labels,
            L blocks, and other letters for what the images decide; only what is named here can be
            kept in a file.
        learned: the tensors, once it has learned.
    """

    name: str
    title: str
    question: str
    formula: str
    source: str
    function: str | Callable[..., Any]
    needs: frozenset[str] = frozenset({"logits"})
    uses: tuple[str, ...] = ("temperature",)
    made_for: str = "Any labels: it needs no other image and no other word."
    learner: str | Callable[..., Any] | None = None
    learns_from: frozenset[str] = frozenset()
    learns_by: tuple[str, ...] = ()
    tensors: Mapping[str, str] = field(default_factory=dict)
    learned: Mapping[str, Tensor] | None = None

    @property
    def learns(self) -> bool:
        """Whether it has to see ID images before it can score."""
        return self.learner is not None

    @property
    def options(self) -> tuple[str, ...]:
        """The names of all options that its value depends on."""
        return tuple(dict.fromkeys(self.uses + self.learns_by))

    @property
    def group(self) -> str:
        """What a person has to give for it: "nothing", "negatives" or "ID images"."""
        if self.learns:
            return "ID images"
        return "negatives" if self.needs & MINED else "nothing"

    def __call__(self, evidence: Evidence, options: ScoreOptions = DEFAULTS) -> Tensor:
        """The score of every image, `(B,)`.

        Raises:
            ValueError: it was not fitted and has to be, or needs what is not there.
        """
        if self.learns and self.learned is None:
            raise ValueError(f"{self.title} learns from ID images; fit it on some first")
        device = evidence.logits.whole.device
        learned = {name: tensor.to(device) for name, tensor in (self.learned or {}).items()}
        used = {**learned, **options.given(self.uses)}
        found: Tensor = _resolve(self.function)(*self._parts(evidence, self.needs), **used)
        return found

    def fit(self, images: Evidence, options: ScoreOptions = DEFAULTS) -> Score:
        """This score with what it learns from ID images; itself where it learns nothing.

        Raises:
            ValueError: what it learns from is not there, or is too little.
        """
        if self.learner is None:
            return self
        parts = self._parts(images, self.learns_from)
        learned = _resolve(self.learner)(*parts, **options.given(self.learns_by))
        return replace(self, learned=learned)

    def _parts(self, evidence: Evidence, needs: frozenset[str]) -> tuple[Any, ...]:
        missing = [what for need, what in NEEDS.items() if need in needs - evidence.holds]
        if missing:
            raise ValueError(f"{self.title} needs {' and '.join(missing)}, and there are none")
        return evidence.parts(needs)


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "mcm",
            "MCM",
            "How clearly does one label stand out for the whole image?",
            "max p",
            "arXiv:2211.13445",
            "logits.mcm",
        ),
        Score(
            "gl_mcm",
            "GL-MCM",
            "Does one label stand out for the whole image, or for one place in it?",
            "MCM + w * L-MCM",
            "arXiv:2304.04521",
            "logits.gl_mcm",
            needs=frozenset({"patches"}),
            uses=("temperature", "local_weight"),
        ),
        Score(
            "l_mcm",
            "L-MCM",
            "Does one label stand out in at least one place of the image?",
            "max over patches of max p",
            "arXiv:2304.04521",
            "logits.l_mcm",
            needs=frozenset({"patches"}),
        ),
        Score(
            "energy",
            "Energy",
            "How much do all labels together resemble the image?",
            "T * logsumexp(cos / T)",
            "arXiv:2010.03759",
            "logits.energy",
        ),
        Score(
            "max_logit",
            "MaxLogit",
            "How much does the best label resemble the image?",
            "max cos",
            "arXiv:1911.11132",
            "logits.max_logit",
            uses=(),
        ),
        Score(
            "msp",
            "MSP",
            "How probable is the best label, at the model's own sharpness?",
            "max softmax(logits)",
            "arXiv:1610.02136",
            "logits.msp",
            uses=(),
        ),
        Score(
            "entropy",
            "Entropy",
            "How little is the belief spread over the labels?",
            "sum p log p",
            "arXiv:2211.13445",
            "logits.entropy",
        ),
        Score(
            "variance",
            "Variance",
            "How uneven is the belief between the labels?",
            "var p",
            "arXiv:2406.12629",
            "logits.variance",
        ),
        Score(
            "gen",
            "GEN",
            "How far from certain are the most probable labels, at the model's own sharpness?",
            "-sum of the 100 largest (p (1 - p))^0.1",
            "Liu, Lochman, Zach, CVPR 2023",
            "logits.gen",
            uses=(),
            made_for="Classifiers; it needs no other image and no other word.",
        ),
        Score(
            "neglabel",
            "NegLabel",
            "Is the image more like the labels than like words that are far from all of them?",
            "mean over groups of the labels' share of softmax(cos / T) over labels and negatives",
            "arXiv:2403.20078",
            "negatives.neglabel",
            needs=frozenset({"neglabel"}),
            uses=("negative_temperature", "groups"),
            made_for="CLIP, with negatives mined from WordNet's nouns and adjectives.",
        ),
        Score(
            "csp",
            "CSP",
            "Is the image more like the labels than like far words and kinds of picture?",
            "as NegLabel, with adjectives before one of 14 broad nouns",
            "arXiv:2410.08611",
            "negatives.neglabel",
            needs=frozenset({"csp"}),
            uses=("negative_temperature", "groups"),
            made_for="CLIP, with negatives mined from WordNet's nouns and adjectives.",
        ),
        Score(
            "knn",
            "KNN",
            "How near is the image to the k-th nearest of the ID images it learned from?",
            "-||z - z_(k)||, z = f / ||f||",
            "arXiv:2204.06507",
            "nearness.knn",
            needs=frozenset({"features"}),
            uses=("neighbors",),
            made_for="Classifiers, with their training images; k 10, or all there are, unless set.",
            learner="nearness.knn_learner",
            learns_from=frozenset({"features"}),
            tensors={"bank": "n D"},
        ),
        Score(
            "nnguide",
            "NNGuide",
            "Do all labels together resemble the image, and do ID images as certain lie near it?",
            "E * mean of the k largest E_i cos(z, z_i), E = logsumexp(logits)",
            "arXiv:2309.14888",
            "nearness.nnguide",
            needs=frozenset({"logits", "features"}),
            uses=("neighbors",),
            made_for="Classifiers, with a share of their training images; k as KNN.",
            learner="nearness.nnguide_learner",
            learns_from=frozenset({"logits", "features"}),
            tensors={"bank": "n D"},
        ),
        Score(
            "fdbd",
            "fDBD",
            "How far is the image from where another label would win?",
            "mean of |z_y - z_c| / ||w_y - w_c|| / ||f - mean f||",
            "arXiv:2312.11536",
            "nearness.fdbd",
            needs=frozenset({"features", "head"}),
            uses=(),
            made_for="Classifiers; of ID images it learns nothing but their mean.",
            learner="nearness.fdbd_learner",
            learns_from=frozenset({"features"}),
            tensors={"mean": "D"},
        ),
        Score(
            "mahalanobis",
            "Mahalanobis++",
            "How near is the image to the centre of a class, as wide as classes are?",
            "-min over c of (z - m_c)' S^-1 (z - m_c), z = f / ||f||",
            "arXiv:2505.18032",
            "nearness.mahalanobis",
            needs=frozenset({"features"}),
            uses=(),
            made_for="ViT and Swin classifiers, with more training images than dimensions.",
            learner="nearness.mahalanobis_learner",
            learns_from=frozenset({"features", "classes"}),
            learns_by=("shrinkage",),
            tensors={"mean": "D", "whitening": "D R", "centres": "C R"},
        ),
        Score(
            "relative_mahalanobis",
            "relative Mahalanobis++",
            "How much nearer is the image to a class than to all ID images together?",
            "Mahalanobis++ + (z - m)' S_all^-1 (z - m)",
            "arXiv:2505.18032",
            "nearness.relative_mahalanobis",
            needs=frozenset({"features"}),
            uses=(),
            made_for="ViT and Swin classifiers, with more training images than dimensions.",
            learner="nearness.relative_mahalanobis_learner",
            learns_from=frozenset({"features", "classes"}),
            learns_by=("shrinkage",),
            tensors={"mean": "D", "whitening": "D R", "centres": "C R", "spread": "D Q"},
        ),
        Score(
            "layers_mcm",
            "MCM of layers",
            "Does one label stand out already in earlier blocks of the network?",
            "mean of MCM over chosen blocks",
            "arXiv:2510.05782",
            "layers.layers_mcm",
            needs=frozenset({"logits", "layers"}),
            made_for="CLIP; experimental, written from the paper, whose code is not public.",
            learner="layers.layers_learner",
            learns_from=frozenset({"logits", "layers"}),
            learns_by=("temperature",),
            tensors={"shares": "L"},
        ),
    )
}


ALONE = tuple(name for name, score in SCORES.items() if score.group == "nothing")


def check_scores(names: Iterable[str]) -> None:
    """Raises ValueError for a name that no score has."""
    for name in names:
        if name not in SCORES:
            raise ValueError(f"score {short(name)} is unknown; use {', '.join(SCORES)}")


def _resolve(function: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(function, str):
        return function
    file, name = function.split(".")
    found: Callable[..., Any] = getattr(import_module(f".{file}", __name__), name)
    return found
