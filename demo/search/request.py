"""What a visitor asks of a search: labels, pictures and a plan, checked once at the door."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from demo.server.limits import MAX_RATIOS, MAX_TRACE
from demo.server.request import checked_settings
from demo.server.settings import Settings
from demo.server.shipped import calibration_folders
from setar_core.labels import LabelSet
from setar_core.search.plan import METRICS, SearchPlan

SHIPPED, ZIP = "shipped pictures", "my own pictures (zip)"


@dataclass(frozen=True)
class SearchRequest:
    """One search.

    Attributes:
        labels: those that are searched for, where the zip has a folder for each.
        zip: the visitor's pictures; None for the shipped ones.
        trace: the text of a trace to go on from; empty for a new search.
        only_estimate: measure the first candidates and stop.
    """

    backbone: str
    labels: LabelSet
    plan: SearchPlan
    zip: Path | None = None
    trace: str = ""
    only_estimate: bool = False

    @property
    def title(self) -> str:
        """What is searched on what, in a few words."""
        pictures = "the shipped pictures" if self.zip is None else f"“{self.zip.name}”"
        return f"{self.backbone} on {pictures}, {len(self.labels):,} labels"


class Controls(NamedTuple):
    """What the bar and the left side say, in the order of their components."""

    backbone: str
    labels: str
    prompt: str
    recipe: str
    score: str
    temperature: float | None
    local_weight: float | None
    source: str
    zip: str | None
    ratios: str
    lambda_ood: float | None
    top_k: float | None
    order: str | None
    weight: str
    objective: str
    prune: str
    projection: bool
    predicted_labels: bool
    batch_size: float | None
    seed: float | None
    precision: str
    quick: bool


def read_search(*values: Any) -> SearchRequest:
    """The search that the controls ask for.

    Raises:
        ValueError: a setting that cannot be used, or no pictures for these labels.
    """
    said = Controls(*values)
    settings = checked_settings(  # the search begins with the original weights
        said.backbone, said.labels, said.prompt, None, said.score, said.temperature,
        said.local_weight,
    )  # fmt: skip
    request = SearchRequest(settings.backbone, settings.labels, read_plan(said, settings))
    if said.source == ZIP:
        if not said.zip:
            raise ValueError(
                "no zip is here; add one that holds one folder of pictures for each label, "
                f"or choose “{SHIPPED}”"
            )
        return replace(request, zip=Path(said.zip))
    names = settings.labels.names
    if not any(calibration_folders(names)):
        raise ValueError(
            f"there are no shipped pictures of any of the {len(names):,} labels; choose the labels "
            f"“animals” in the bar above, or “{ZIP}” and add a zip with one folder for each label"
        )
    return request


def read_plan(said: Controls, settings: Settings) -> SearchPlan:
    """The plan; an empty K is left open, and a score is only in it where the objective has one.

    Raises:
        ValueError: a setting that cannot be used.
    """
    scored: dict[str, Any] = {"score": settings.score, "temperature": settings.options.temperature}
    return SearchPlan(
        order=said.order or None,
        weight=said.weight,
        ratios=read_ratios(said.ratios),
        lambda_ood=_filled("the weight λ", said.lambda_ood),
        top_k=None if said.top_k is None else _whole("K", said.top_k),
        objective=said.objective,
        **(scored if said.objective in METRICS else {}),
        prune=said.prune,
        projection=bool(said.projection),
        predicted_labels=bool(said.predicted_labels),
        batch_size=_whole("the batch size", said.batch_size),
        seed=_whole("the seed", said.seed),
        precision=said.precision,
        quick=bool(said.quick),
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
