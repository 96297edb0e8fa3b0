"""What a visitor asks of a search: labels, pictures and a plan, checked once at the door."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from demo.page.bar import OWN_LABELS
from demo.server.library import label_set
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.search.plan import SearchPlan

SHIPPED, ZIP = "shipped pictures", "my own pictures (zip)"
CALIBRATION = BENCHMARK / "calibration"
MAX_RATIOS = 40
MAX_TRACE = 20_000_000  # bytes of an uploaded trace


@dataclass(frozen=True)
class SearchRequest:
    """One search.

    Attributes:
        labels: None where the folders of the zip name them.
        zip: the visitor's pictures; None for the shipped ones.
        trace: the text of a trace to go on from; empty for a new search.
        only_estimate: measure the first candidates and stop.
    """

    backbone: str
    labels: LabelSet | None
    plan: SearchPlan
    zip: Path | None = None
    trace: str = ""
    only_estimate: bool = False

    @property
    def title(self) -> str:
        """What is searched on what, in a few words."""
        pictures = "the shipped pictures" if self.zip is None else f"“{self.zip.name}”"
        labels = "its folders as labels" if self.labels is None else f"{len(self.labels):,} labels"
        return f"{self.backbone} on {pictures}, {labels}"


class Controls(NamedTuple):
    """What the left side says, in the order of its components."""

    backbone: str
    label_set: str
    source: str
    zip: str | None
    ratios: str
    lambda_ood: float | None
    top_k: float | None
    order: str | None
    weight: str
    objective: str
    score: str
    temperature: float | None
    prune: str
    projection: bool
    predicted_labels: bool
    batch_size: float | None
    seed: float | None
    precision: str


def read_search(*values: object) -> SearchRequest:
    """The search that the controls ask for.

    Raises:
        ValueError: a setting that cannot be used, or no pictures for these labels.
    """
    said = Controls(*values)
    plan = read_plan(said)
    own = said.label_set == OWN_LABELS
    if said.source == ZIP:
        if not said.zip:
            raise ValueError(
                "no zip is here; add one that holds one folder of pictures for each label, "
                f"or choose “{SHIPPED}”"
            )
        return SearchRequest(
            said.backbone, None if own else label_set(said.label_set), plan, Path(said.zip)
        )
    if own or not has_shipped(label_set(said.label_set)):
        what = (
            "labels of your own" if own else f"the {len(label_set(said.label_set)):,} labels chosen"
        )
        raise ValueError(
            f"there are no shipped pictures of {what}; choose the labels “animals” in the bar "
            f"above, or “{ZIP}” and add a zip with one folder for each label"
        )
    return SearchRequest(said.backbone, label_set(said.label_set), plan)


def read_plan(said: Controls) -> SearchPlan:
    """The plan; an empty K is left open.

    Raises:
        ValueError: a setting that cannot be used.
    """
    return SearchPlan(
        order=said.order or None,
        weight=said.weight,
        ratios=read_ratios(said.ratios),
        lambda_ood=_filled("the weight λ", said.lambda_ood),
        top_k=None if said.top_k is None else _whole("K", said.top_k),
        objective=said.objective,
        score=said.score,
        temperature=_filled("the temperature", said.temperature),
        prune=said.prune,
        projection=bool(said.projection),
        predicted_labels=bool(said.predicted_labels),
        batch_size=_whole("the batch size", said.batch_size),
        seed=_whole("the seed", said.seed),
        precision=said.precision,
    )


def read_ratios(text: str) -> tuple[float, ...]:
    """Numbers between commas, semicolons or spaces.

    Raises:
        ValueError: a word that is no number, too many, or none that a plan takes; in the words of
            the visitor.
    """
    words = (text or "").replace(",", " ").replace(";", " ").split()
    if len(words) > MAX_RATIOS:
        raise ValueError(f"{len(words)} candidate ratios are too many; give at most {MAX_RATIOS}")
    if not words:
        raise ValueError(
            "candidate ratios are missing; write numbers with commas, such as 0, 0.1, 0.2; the "
            "first must be 0, the original weights"
        )
    said = f"candidate ratios “{text.strip()[:60]}”"
    try:
        ratios = tuple(map(float, words))
    except ValueError:
        raise ValueError(f"{said}: write numbers with commas, such as 0, 0.1, 0.2") from None
    try:
        return SearchPlan(ratios=ratios).ratios
    except ValueError as error:  # which spells them out as a program does
        raise ValueError(f"{said}: {str(error).partition(': ')[2]}") from None


def has_shipped(labels: LabelSet) -> bool:
    """Whether the shipped calibration pictures are of exactly these labels."""
    folders = sorted(path.name for path in CALIBRATION.glob("*") if path.is_dir())
    return folders == sorted(labels.names)


def going_on(request: SearchRequest, file: str | None) -> SearchRequest:
    """The same pictures and labels with the plan of a trace, to go on where that ends.

    Raises:
        ValueError: no file, or one that holds no plan.
    """
    text = read_trace(file)
    head = text.partition("\n")[0]
    try:
        page = json.loads(head)["plan"]
        plan = SearchPlan(**{**page, "ratios": tuple(page["ratios"])})
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError):
        raise ValueError(
            "this trace does not begin with its plan, so a search cannot go on from it; it can be "
            "replayed. Traces that are downloaded here begin with it"
        ) from None
    return replace(request, plan=plan, trace=text)


def read_trace(file: str | None) -> str:
    """The text of an uploaded trace.

    Raises:
        ValueError: no file, too large, not text.
    """
    if not file:
        raise ValueError("no trace is here; upload one, as “Download trace” gives it")
    path = Path(file)
    if path.stat().st_size > MAX_TRACE:
        raise ValueError(
            f"{path.name} has {path.stat().st_size / 1e6:.0f} MB; a trace has at most "
            f"{MAX_TRACE / 1e6:.0f} MB"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8 text, so no trace; give another file") from None


def _filled(what: str, value: float | None) -> float:
    if value is None:
        raise ValueError(f"{what} is empty; write a number")
    return float(value)


def _whole(what: str, value: float | None) -> int:
    value = _filled(what, value)
    if not value.is_integer():
        raise ValueError(f"{what} is {value:g}; give a whole number")
    return int(value)
