"""What the bar offers, and what follows when a visitor chooses labels, a score or a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import gradio as gr

from demo.page import notices
from demo.page.components.labels import Summary, summary
from demo.page.events import KEEP
from demo.page.words import STAY
from demo.server.jobs import told
from demo.server.library import PHOTOGRAPHS, Library
from demo.server.models import model_of
from demo.server.request import NO_RECIPE
from demo.server.shipped import EMBEDDED, label_set, label_sets, measured
from setar_core.labels import PROMPT, LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import ALONE, MINED, SCORES
from setar_core.scores.catalogue import GROUPS

if TYPE_CHECKING:
    from setar_core.adapter import Change
    from setar_core.backbones import Backbone
    from setar_core.backbones.vision import VisionBackbone

OWN_LABELS = "my own text"


class Choice(NamedTuple):
    """One value for each component that a choice may change; KEEP changes nothing.

    `settled` is the backbone whose settings the bar has, once it is loaded.
    """

    label_set: Any = KEEP
    labels: Any = KEEP
    label_count: Any = KEEP
    recipe: Any = KEEP
    notice: Any = KEEP
    backbone: Any = KEEP
    settled: Any = KEEP


def knows(library: Library, backbone: str) -> str:
    """What the model that looks has seen."""
    if model_of(backbone) == EMBEDDED:
        return "Knows drawn emoji scenes, not photographs"
    if library.is_loaded(backbone) and not library.backbone(backbone).has_text:
        return "Knows photographs of its own classes"
    return "Knows photographs and their captions"


def knowing(library: Library, backbone: str | None) -> Any:
    """The same below the box that names it."""
    return gr.Dropdown(info=knows(library, backbone)) if backbone else KEEP


def label_choices() -> list[tuple[str, str]]:
    """Shipped sets with their counts, and the visitor's own text."""
    shipped = [(f"{name} ({count:,})", name) for name, count in label_sets().items()]
    return [*shipped, (OWN_LABELS, OWN_LABELS)]


def score_choices() -> list[tuple[str, str]]:
    """Every score, by what it needs, those first that need nothing."""
    groups = list(GROUPS)
    ordered = sorted(SCORES.items(), key=lambda item: groups.index(item[1].group))
    marks = {"nothing": "", "negatives": " (negative words)", "ID images": " (learns)"}
    return [(score.title + marks[score.group], name) for name, score in ordered]


def default_labels(backbone: str) -> str:
    """The set that a backbone opens with."""
    wanted = "animals" if model_of(backbone) == EMBEDDED else "voc20"
    return wanted if wanted in label_sets() else next(iter(label_sets()), OWN_LABELS)


def default_recipe(library: Library, backbone: str) -> str:
    """The first shipped recipe of the backbone."""
    return next(iter(library.recipes(backbone)), NO_RECIPE)


def recipe_choices(library: Library, backbone: str, *more: str) -> list[str]:
    """None, the shipped recipes of the backbone, and `more` that are on no list."""
    return list(dict.fromkeys((NO_RECIPE, *library.recipes(backbone), *more)))


def labels_chosen(library: Library, backbone: str, chosen: str, prompt: str = PROMPT) -> Choice:
    """A shipped set as text; the visitor's own text stays as it is."""
    if chosen == OWN_LABELS:
        return Choice()
    labels = "\n".join(label_set(chosen).names)
    return Choice(labels=labels, label_count=labels_counted(library, backbone, labels, prompt))


def labels_written(library: Library, backbone: str, labels: str, prompt: str = PROMPT) -> Choice:
    """The text was changed: it is a shipped set's, or the visitor's own."""
    return Choice(
        label_set=set_of(labels),
        label_count=labels_counted(library, backbone, labels, prompt),
    )


def set_of(labels: str) -> str:
    """The shipped set whose text this is; else `OWN_LABELS`."""
    lines = tuple(labels.split("\n"))
    same = (name for name in label_sets() if label_set(name).names == lines)
    return next(same, OWN_LABELS)


def labels_counted(library: Library, backbone: str, labels: str, prompt: str = PROMPT) -> Summary:
    """The count, labels that are or become one, and words of theirs or of the prompt that the
    backbone never saw."""
    try:
        parsed = LabelSet.parse(labels or "", prompt or "")
    except ValueError as error:
        return Summary(problem=notices.begun(str(error)))
    unknown: tuple[str, ...] = ()
    if library.is_loaded(backbone):
        unknown = library.backbone(backbone).unknown_words("\n".join(parsed.prompts))
    return summary(parsed.names, library.doubts(backbone, parsed), unknown)


def score_explained(score: str, backbone: str = "") -> str:
    """The score in plain words, then its formula and source, and what it is worth where that was
    measured."""
    if score not in SCORES:
        return ""
    found = SCORES[score]
    needs = "" if score in ALONE else f" It needs {GROUPS[found.group]}: see More."
    return (
        f'<details class="hint"><summary>{escape(found.question)} '
        f"<code>{escape(found.formula)}</code>{needs}</summary> {escape(found.source)}. "
        f"{escape(found.made_for)} {worth(score) if model_of(backbone) == EMBEDDED else ''}"
        "</details>"
    )


def worth(score: str) -> str:
    """How many foreign pictures pass by this score on the embedded model's own test pictures, and
    which score lets the fewest pass of each kind; of negatives only where they beat GL-MCM."""
    means = {name: found["fpr95"] for name, found in measured("scores").items()}
    named = [min(ALONE, key=means.__getitem__)]
    mined = min((name for name in means if SCORES[name].needs & MINED), key=means.__getitem__)
    named += [mined] if means[mined] < means["gl_mcm"] else []
    best = " and ".join(f"{SCORES[name].title} ({means[name]:.1f} %)" for name in named)
    return (
        f"On this model's own test pictures it lets {means[score]:.1f} % of the foreign ones pass "
        f"where 95 % of the known ones do; fewest pass by {best}.{_close_calls(score)}"
    )


def _close_calls(score: str) -> str:
    """How many of the shipped pictures are a close call by it; nothing where it learns."""
    shares = measured("close_calls").get(score)
    if shares is None:
        return ""
    told = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())
    return f" Close calls of the shipped sets by it: {told}."


def backbone_chosen(
    library: Library,
    backbone: str,
    labels: str,
    prompt: str,
    recipe: str,
    before: str | None,
) -> Iterator[Choice]:
    """Load it, in the background if the visitor leaves; a classifier brings its own labels.

    Where it cannot be had, the bar goes back to the one before.
    """
    if backbone == before:  # Gradio tells a choice too when the box is left as it was
        yield Choice()
        return
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
        back = Choice()
        if before is not None:
            recipes = recipe_choices(library, before, recipe)
            back = Choice(recipe=gr.Dropdown(recipes, value=recipe), backbone=before)
        yield back._replace(notice=notices.failure(error))
        return
    choice = Choice(notice=None, settled=backbone)
    if not loaded.has_text:
        labels = "\n".join(own_labels(loaded))
        choice = choice._replace(label_set=OWN_LABELS, labels=labels)
    yield choice._replace(label_count=labels_counted(library, backbone, labels, prompt))


def photographs_given(library: Library, backbone: str, *others: Any) -> Iterator[Choice]:
    """As `backbone_chosen`, of one that knows photographs."""
    for choice in backbone_chosen(library, PHOTOGRAPHS, *others):
        yield choice if choice.backbone is not KEEP else choice._replace(backbone=PHOTOGRAPHS)


def own_labels(backbone: Backbone) -> tuple[str, ...]:
    """A classifier's classes, by number where it does not name them."""
    if backbone.class_names:
        return backbone.class_names
    return tuple(f"class {i}" for i in range(cast("VisionBackbone", backbone).num_classes))


def recipe_given(library: Library, backbone: str, file: str | None) -> Choice:
    """An uploaded recipe or adapter becomes the choice, once it can be read."""
    chosen, notice = default_recipe(library, backbone), None
    if file:
        try:
            chosen = library.keep_recipe(_change_in(library, backbone, file), "uploaded")
        except ValueError as error:
            chosen, notice = NO_RECIPE, notices.failure(error)
    recipes = recipe_choices(library, backbone, chosen)
    return Choice(recipe=gr.Dropdown(recipes, value=chosen), notice=notice)


def _change_in(library: Library, backbone: str, file: str) -> Change:
    """Raises ValueError for what is neither, and for an adapter of other weights than those that
    are loaded."""
    if not file.endswith(".safetensors"):
        return Recipe.load(file)
    from setar_core.adapter import Adapter

    adapter = Adapter.load(file)
    if library.is_loaded(backbone):
        adapter.check_weights(backbone, library.backbone(backbone).fingerprint)
    return adapter
