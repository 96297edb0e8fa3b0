"""How sure is the model that an image is one of the labels: the scores there are, without PyTorch.

Higher is more in-distribution, always. A score is a function in one of the files beside this one
and an entry in `SCORES`; the command line, the page and the tests read them from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from .evidence import Evidence


@dataclass(frozen=True)
class ScoreOptions:
    """What can be set of scores; each score reads only those that it `uses`.

    A new one is a field here, with its `symbol` in formulas and the `range` in which float32 can
    form a score; commands, thresholds and results read the fields.

    Raises:
        ValueError: a value that is no number, or out of its range.
    """

    temperature: float = field(
        default=1.0,
        metadata={"symbol": "T", "help": "divides the raw cosine", "range": (1e-6, 1e6)},
    )
    local_weight: float = field(
        default=1.0,
        metadata={"symbol": "W", "help": "the factor of L-MCM in GL-MCM", "range": (0, 1e6)},
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value, (low, high) = getattr(self, option.name), option.metadata["range"]
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise ValueError(
                    f"{_words(option.name)} is {value!r}; give a number from {low:g} to {high:g}, "
                    f"such as {option.default:g}"
                )
            object.__setattr__(self, option.name, float(value))

    def only(self, names: Iterable[str]) -> ScoreOptions:
        """These options, and the defaults for all others."""
        return ScoreOptions(**{name: getattr(self, name) for name in names})

    def changes(self, other: ScoreOptions) -> tuple[str, ...]:
        """What differs, in words."""
        theirs = other.page()
        return tuple(_words(name) for name, mine in self.page().items() if mine != theirs[name])

    def page(self) -> dict[str, float]:
        """As JSON takes them."""
        return asdict(self)


DEFAULTS = ScoreOptions()  # as published

# What a score may look at, as a message says it; see `Evidence`.
NEEDS = {
    "logits": "logits",
    "patches": "the logits of patches",
    "negatives": "negative labels",
    "features": "features",
}


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
        uses: names of options that change it.
        learns: the score learns from ID images: the function is given their evidence, and gives
            the function to score with.
    """

    name: str
    title: str
    question: str
    formula: str
    source: str
    function: str | Callable[..., Any]
    needs: frozenset[str] = frozenset({"logits"})
    uses: tuple[str, ...] = ("temperature",)
    learns: bool = False

    def __call__(self, evidence: Evidence, options: ScoreOptions = DEFAULTS) -> Tensor:
        """The score of every image, `(B,)`.

        Raises:
            ValueError: it was not fitted and has to be, or needs what is not there.
        """
        if self.learns:
            raise ValueError(f"{self.title} learns from ID images; calibrate on some first")
        used = {name: getattr(options, name) for name in self.uses}
        found: Tensor = _resolve(self.function)(*self._parts(evidence), **used)
        return found

    def fit(self, calibration: Evidence) -> Score:
        """This score with what it learns from ID images; itself where it learns nothing."""
        if not self.learns:
            return self
        function = _resolve(self.function)(*self._parts(calibration))
        return replace(self, function=function, learns=False)

    def _parts(self, evidence: Evidence) -> tuple[Any, ...]:
        missing = [what for need, what in NEEDS.items() if need in self.needs - evidence.holds]
        if missing:
            raise ValueError(f"{self.title} needs {' and '.join(missing)}, and there are none")
        return evidence.parts(self.needs)


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
    )
}


def check_scores(names: Iterable[str]) -> None:
    """Raises ValueError for a name that no score has."""
    for name in names:
        if name not in SCORES:
            raise ValueError(f"score {name!r} is unknown; use {', '.join(SCORES)}")


def _resolve(function: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(function, str):
        return function
    file, name = function.split(".")
    found: Callable[..., Any] = getattr(import_module(f".{file}", __name__), name)
    return found


def _words(name: str) -> str:
    return name.replace("_", " ")
