"""The bar above all tabs: backbone, labels, recipe, device; and what is loaded and running."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from demo.page.components.status import State, Status
from demo.server.library import EMBEDDED, Library, label_sets
from demo.server.request import NO_RECIPE

OWN_LABELS = "my own text"
SEARCH_KEY = "setar-explorer-search"
SENTENCE = (
    "Does a picture show one of your labels, or something the model should not put a name to? "
    "Drop pictures in and see what the model says, why, and how SeTAR, which drops the smallest "
    "parts of the model's weights, changes its mind."
)


class Bar(NamedTuple):
    """The components that every tab may listen to."""

    backbone: gr.Dropdown
    labels: gr.Dropdown
    recipe: gr.Dropdown
    status: Status
    search: gr.BrowserState  # the search that this browser began; a tab not yet opened holds none


def label_choices() -> list[tuple[str, str]]:
    """Shipped sets with their counts, and the visitor's own text."""
    shipped = [(f"{name} ({count:,})", name) for name, count in label_sets().items()]
    return [*shipped, (OWN_LABELS, OWN_LABELS)]


def default_labels(backbone: str) -> str:
    """The set that a backbone opens with."""
    wanted = "animals" if backbone == EMBEDDED else "voc20"
    return wanted if wanted in label_sets() else next(iter(label_sets()), OWN_LABELS)


def default_recipe(library: Library, backbone: str) -> str:
    """The first shipped recipe of the backbone."""
    return next(iter(library.recipes(backbone)), NO_RECIPE)


def recipe_choices(library: Library, backbone: str) -> list[str]:
    return [NO_RECIPE, *library.recipes(backbone)]


def status(library: Library) -> State:
    loaded, running = (", ".join(names) for names in library.status())
    return State(loaded or "nothing yet", running or "idle", library.device, bool(running))


def build_bar(library: Library) -> Bar:
    gr.HTML(f"<h1>SeTAR Explorer</h1><p>{SENTENCE}</p>", elem_id="title")
    with gr.Row(elem_id="bar"):
        backbone = gr.Dropdown(
            library.backbones(),
            value=library.default,
            label="Backbone",
            info="The model that looks",
            allow_custom_value=True,
            min_width=200,
            elem_id="backbone",
        )
        labels = gr.Dropdown(
            label_choices(),
            value=default_labels(library.default),
            label="Labels",
            info="What it may answer",
            min_width=200,
            elem_id="label-set",
        )
        recipe = gr.Dropdown(
            recipe_choices(library, library.default),
            value=default_recipe(library, library.default),
            label="SeTAR recipe",
            info="Which parts of the weights are dropped",
            allow_custom_value=True,  # else gradio refuses it, in words of its own
            min_width=200,
            elem_id="recipe",
        )
    line = Status(status(library), elem_id="status")
    search = gr.BrowserState(None, storage_key=SEARCH_KEY, secret=SEARCH_KEY)
    return Bar(backbone, labels, recipe, line, search)
