"""What a trace or a recipe is for, and whether that is the backbone in the bar."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from demo.server.library import Library
from demo.server.shipped import label_set, label_sets
from setar_core.published import SETS, published_runs

if TYPE_CHECKING:
    from demo.search.job import Search


def labels_of(text: str) -> str:
    """The labels of a trace's search, where its first line tells which shipped or published ones
    they are; else nothing."""
    try:
        first = json.loads(text.partition("\n")[0])
    except (json.JSONDecodeError, RecursionError):
        return ""
    if not isinstance(first, dict):
        return ""
    for run in published_runs():
        if run.slug == first.get("slug"):
            return SETS[run.id_set]
    made_for = first.get("fingerprint")
    known = made_for.get("labels") if isinstance(made_for, dict) else None
    return next((name for name in label_sets() if label_set(name).fingerprint == known), "")


def replay_of(job: Search) -> str:
    """A trace that is looked at, with its backbone and labels as far as it names them."""
    count = len(job.trials)
    some = f"A replay of a trace with {count} candidate{'s' * (count != 1)}"
    labels = f", labels {job.labels}" if job.labels else ""
    if job.backbone is None:
        return f"{some}{labels}. It does not name its backbone. Nothing is run."
    return f"{some} in {job.backbone}{labels}. Nothing is run."


def fits(library: Library, made_for: str | None, backbone: str) -> bool:
    """Whether a recipe may be used with a backbone; one that names none may be with any."""
    known = library.backbone(backbone).name if library.is_loaded(backbone) else backbone
    return made_for in (None, backbone, known)


def fit(library: Library, job: Search | None, backbone: str) -> str:
    """In words, whether the recipe that is looked at fits the backbone in the bar; a search's own
    goes without saying."""
    if job is None:
        return ""
    backbone, made_for = backbone or "none", job.backbone
    if made_for is not None and not fits(library, made_for, backbone):
        return _hint(
            f"This recipe is for <b>{escape(made_for)}</b>, and the bar above has "
            f"{escape(backbone)}. Choose {escape(made_for)} there to use it in Detect."
        )
    if job.request is not None:
        return ""
    if made_for is None:
        return _hint(
            "It is not told which backbone this recipe is for; Detect will say whether it fits "
            f"{escape(backbone)}, which is in the bar above."
        )
    return _hint(f"This recipe fits {escape(backbone)}, which is in the bar above.")


def _hint(text: str) -> str:
    return f'<p class="hint">{text}</p>'
