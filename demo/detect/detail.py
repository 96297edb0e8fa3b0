"""One judged image as HTML: what the model saw, its patch map, its best labels, the decision."""

from __future__ import annotations

from html import escape

from demo.detect.batch import Batch, Judged
from demo.detect.rows import chip
from demo.page.pictures import patch_map
from demo.page.words import number
from demo.server.request import TITLES
from setar_core.verdict import IN, OUT, Verdict


def detail(batch: Batch, image: Judged, picture: str | None, score_title: str) -> str:
    """One column for each of the weights; `picture` is a data URI, None when it is gone."""
    columns = "".join(
        _column(image, weights, picture, score_title) for weights in batch.settings.weights
    )
    return (
        f'<section class="detail" aria-label="The chosen picture"><h2>{escape(image.name)}</h2>'
        f'<div class="columns">{columns}</div>'
        '<p class="legend">Patch map, how sure each place is of its best label (point at it to '
        "read which): <span>unsure <i></i> sure</span></p>"
        '<p class="hint">It does not outline the object: every place has seen the rest of the '
        "picture, so plain background often repeats what the whole picture shows.</p></section>"
    )


def _column(image: Judged, weights: str, picture: str | None, score_title: str) -> str:
    verdict = image.verdicts[weights]
    return (
        f'<div class="column"><h3>{TITLES[weights]} {chip(verdict)}</h3>'
        f"<p>{_sentence(verdict, score_title)}</p>"
        f'<div class="evidence">{_picture(verdict, picture, image.name)}{bars(verdict)}</div></div>'
    )


def _sentence(verdict: Verdict, score_title: str) -> str:
    label = f"<b>{escape(verdict.top[0][0])}</b>"
    score = f"{escape(score_title)} {number(verdict.score)}"
    if verdict.decision == IN:
        limit = number(verdict.threshold)
        return f"It shows one of your labels, most likely {label}: {score} reaches {limit}."
    if verdict.decision == OUT:
        limit = number(verdict.threshold)
        return f"It is probably none of your labels; {label} is nearest: {score} is below {limit}."
    return f"The nearest label is {label}: {score}. Without a threshold nothing is decided."


def _picture(verdict: Verdict, picture: str | None, name: str) -> str:
    if picture is None:
        return '<div class="seen missing">The picture is no longer kept here; add it again.</div>'
    return (
        f'<figure class="seen"><img src="{picture}" alt="{escape(name)}, as the model sees it">'
        f"{patch_map(verdict.patches, verdict.patch_labels)}</figure>"
    )


def bars(verdict: Verdict) -> str:
    """The best labels with their probabilities, as bars."""
    items = "".join(
        f'<li><span class="bar-label">{escape(label)}</span>'
        f'<span class="bar-number">{probability:.3f}</span>'
        f'<span class="bar"><span style="width:{100 * probability:.1f}%"></span></span></li>'
        for label, probability in verdict.top
    )
    return f'<div class="bars"><h4>Best labels</h4><ol>{items}</ol></div>'
