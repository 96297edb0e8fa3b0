"""What happens when a visitor chooses labels, a score, a backbone or a recipe file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.page import notices
from demo.page.bar import OWN_LABELS, default_recipe, recipe_choices
from demo.page.components.labels import Summary, summary
from demo.page.events import KEEP
from demo.page.words import STAY
from demo.server.jobs import told
from demo.server.library import Library, label_set, label_sets
from demo.server.request import UPLOADED
from setar_core.labels import PROMPT, LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import SCORES

if TYPE_CHECKING:
    from setar_core.backbones import Backbone


class Choice(NamedTuple):
    """One value for each component that a choice may change; KEEP changes nothing."""

    labels: Any = KEEP
    names: Any = KEEP
    said: Any = KEEP
    recipe: Any = KEEP
    notice: Any = KEEP


def labels_chosen(library: Library, backbone: str, chosen: str, prompt: str = PROMPT) -> Choice:
    """A shipped set as text; the visitor's own text stays as it is."""
    if chosen == OWN_LABELS:
        return Choice()
    names = "\n".join(label_set(chosen).names)
    return Choice(names=names, said=labels_edited(library, backbone, names, prompt))


def labels_written(library: Library, backbone: str, names: str, prompt: str = PROMPT) -> Choice:
    """The text was changed: it is a shipped set's, or the visitor's own."""
    lines = tuple(names.split("\n"))
    same = (name for name in label_sets() if label_set(name).names == lines)
    return Choice(
        labels=next(same, OWN_LABELS), said=labels_edited(library, backbone, names, prompt)
    )


def labels_edited(library: Library, backbone: str, names: str, prompt: str = PROMPT) -> Summary:
    """The count, labels that are there twice, and words of theirs or of the prompt that the
    backbone never saw."""
    try:
        labels = LabelSet.parse(names or "", prompt or "")
    except ValueError as error:
        return Summary(problem=notices.begun(str(error)))
    unknown: tuple[str, ...] = ()
    if library.is_loaded(backbone):
        unknown = library.backbone(backbone).unknown_words("\n".join(labels.prompts))
    return summary(labels.names, labels.duplicates, unknown)


def score_chosen(score: str) -> str:
    """The score in plain words, then its formula and source."""
    if score not in SCORES:
        return ""
    found = SCORES[score]
    return (
        f'<p class="hint">{escape(found.question)} <code>{escape(found.formula)}</code>, '
        f"{escape(found.source)}</p>"
    )


def backbone_chosen(
    library: Library, backbone: str, names: str, prompt: str = PROMPT
) -> Iterator[Choice]:
    """Load it, in the background if the visitor leaves; a classifier brings its own labels."""
    recipes = recipe_choices(library, backbone)
    try:
        yield Choice(
            recipe=gr.Dropdown(recipes, value=default_recipe(library, backbone)),
            notice=notices.busy(f"Loading {backbone}"),
        )
        for step in told("", library.loading(backbone), STAY):
            yield Choice(notice=notices.busy(*step))
        loaded = library.backbone(backbone)
    except ValueError as error:
        yield Choice(notice=notices.notice(str(error), "bad"))
        return
    if loaded.has_text:
        yield Choice(said=labels_edited(library, backbone, names, prompt))
        return
    names = "\n".join(own_labels(loaded))
    yield Choice(
        labels=OWN_LABELS, names=names, said=labels_edited(library, backbone, names, prompt)
    )


def own_labels(backbone: Backbone) -> tuple[str, ...]:
    """A classifier's classes, by number where it does not name them."""
    return backbone.class_names or tuple(f"class {i}" for i in range(backbone.num_classes))


def recipe_given(library: Library, backbone: str, file: str | None) -> Choice:
    """An uploaded recipe joins the choices, once it can be read."""
    recipes = recipe_choices(library, backbone)
    if not file:
        return Choice(recipe=gr.Dropdown(recipes, value=default_recipe(library, backbone)))
    try:
        Recipe.load(file)
    except ValueError as error:
        return Choice(
            recipe=gr.Dropdown(recipes, value=recipes[0]),
            notice=notices.notice(str(error), "bad"),
        )
    return Choice(recipe=gr.Dropdown([*recipes, UPLOADED], value=UPLOADED), notice="")
