"""The left side of Search: the few settings that matter open, the others behind More."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import gradio as gr

from demo.page.choices import default_labels
from demo.page.components.heading import head
from demo.page.uploads import zip_file
from demo.search.presets import OWN, PRESETS, Preset, fitting, proposed
from demo.search.request import SHIPPED, ZIP
from demo.server.library import Library
from demo.server.limits import MAX_IMAGES, MAX_SEARCH_BYTES
from demo.server.shipped import label_sets
from setar_core.labels import LabelSet
from setar_core.recipe import PRUNES
from setar_core.search.plan import BLOCK_WEIGHTS, OBJECTIVES, ORDERS, PRECISIONS, RATIOS

LINK = """element.addEventListener('click', (event) => {
  if (event.target.closest('button.link')) trigger('select');
});"""


class Plan(NamedTuple):
    """Every component of the plan, in the order in which `read_search` takes them."""

    source: gr.Radio
    zip: gr.File
    ratios: gr.Textbox
    lambda_ood: gr.Number
    top_k: gr.Number
    order: gr.Dropdown
    weight: gr.Dropdown
    objective: gr.Dropdown
    prune: gr.Dropdown
    projection: gr.Checkbox
    predicted_labels: gr.Checkbox
    batch_size: gr.Number
    seed: gr.Number
    precision: gr.Dropdown
    quick: gr.Checkbox


class Left(NamedTuple):
    preset: gr.Dropdown
    told: gr.HTML
    plan: Plan
    search: gr.Button
    estimate: gr.Button
    stop: gr.Button
    resume: gr.Button
    file: gr.File
    go_on: gr.Button
    replay: gr.Button
    published: gr.HTML
    keeping: gr.Column
    use: gr.Button
    fit: gr.HTML
    recipe: gr.Button
    trace: gr.Button


def told_of(preset: Preset, top_k: int | None, count: int | None) -> str:
    """The preset in a sentence."""
    of = f" of {count:,}" if count else ""
    k = "0.3 of the labels" if top_k is None else f"{top_k:,}{of}"
    return f'<p class="hint">λ {preset.lambda_ood:g}, K {k}: {preset.told}.</p>'


def count_of(labels: str) -> int | None:
    """How many labels the text has; None where it cannot be used."""
    try:
        return len(LabelSet.parse(labels))
    except ValueError:
        return None


def build_plan(library: Library) -> Left:
    """Lay the left side out."""
    labels = default_labels(library.default)
    first = fitting(library.default, labels)
    count = label_sets().get(labels)
    top_k = proposed(first, count)
    head("What to search", "Backbone, labels and prompt are those of the bar above.")
    source = gr.Radio(
        [SHIPPED, ZIP],
        value=SHIPPED,
        label="Calibration pictures",
        info="A few pictures of each label, on which every candidate is measured",
        elem_id="search-source",
    )
    pictures = zip_file(
        MAX_IMAGES,
        MAX_SEARCH_BYTES,
        label="A zip with one folder of pictures for each label",
        height=110,
        visible=False,
        elem_id="search-zip",
    )
    preset = gr.Dropdown(
        [*PRESETS, OWN],
        value=first.title,
        label="Settings",
        info="The authors' own, chosen by backbone and labels",
        elem_id="search-preset",
    )
    told = gr.HTML(told_of(first, top_k, count), elem_id="search-told")
    ratios = gr.Textbox(
        ", ".join(f"{ratio:g}" for ratio in RATIOS),
        label="Candidate ratios",
        info="Shares of a matrix's smallest parts to try dropping; from 0 upwards",
        elem_id="search-ratios",
    )
    with gr.Row(elem_id="search-buttons"):
        search = gr.Button("Search", variant="primary", min_width=100, elem_id="search-start")
        stop = gr.Button(
            "Stop", variant="stop", min_width=100, visible=False, elem_id="search-stop"
        )
        resume = gr.Button("Resume", min_width=100, visible=False, elem_id="search-resume")
        estimate = gr.Button("How long?", min_width=100, elem_id="search-estimate")
    with gr.Column(visible=False, elem_id="search-keeping") as keeping:
        use = gr.Button("Use this recipe in Detect", variant="primary", elem_id="search-use")
        fit = gr.HTML(elem_id="search-fit")
        with gr.Row():
            recipe = gr.Button("Download recipe", size="sm", min_width=110)
            trace = gr.Button("Download trace", size="sm", min_width=110)
    with gr.Accordion("More", open=False, elem_id="search-more"):
        plan = _more(first, top_k, library.devices)
    with gr.Accordion("Continue or replay a search", open=False, elem_id="search-again"):
        file = gr.File(
            file_types=[".jsonl", ".json"],
            label="A trace (JSON lines) or a recipe (JSON)",
            height=110,
            elem_id="search-file",
        )
        with gr.Row():
            go_on = gr.Button("Continue", min_width=100, elem_id="search-continue")
            replay = gr.Button("Look at it", min_width=100, elem_id="search-replay")
        published = gr.HTML(
            '<p class="hint">Continuing takes the plan from the trace and needs the same backbone, '
            "labels and pictures; looking at it runs nothing. The authors' own searches are "
            'replayed under <button type="button" class="link">Published</button>.</p>',
            js_on_load=LINK,
        )
    return Left(
        preset, told, Plan(source, pictures, ratios, *plan), search, estimate, stop, resume, file,
        go_on, replay, published, keeping, use, fit, recipe, trace,
    )  # fmt: skip


def _more(first: Preset, top_k: int | None, devices: Sequence[str]) -> list:
    with gr.Row():
        lambda_ood = gr.Number(
            first.lambda_ood, label="λ", info="Weight of the OOD loss", min_width=110,
            elem_id="search-lambda",
        )  # fmt: skip
        k = gr.Number(
            top_k, label="K", info="A patch is OOD when K labels fit it better",
            precision=0, min_width=110, elem_id="search-k",
        )  # fmt: skip
    order = gr.Dropdown(
        [("as suits the backbone", ""), *_choices(ORDERS)], value="", label="Order",
        info="Which matrices in turn, each tower from its top block down", elem_id="search-order",
    )  # fmt: skip
    weight = gr.Dropdown(
        _choices(BLOCK_WEIGHTS), value="up", label="Weight", info="Which matrix of each block",
        elem_id="search-weight",
    )  # fmt: skip
    objective = gr.Dropdown(
        [(objective.title, name) for name, objective in OBJECTIVES.items()],
        value="locoop_loss", label="Objective",
        info="What a better candidate betters; the score is that of the bar above",
        elem_id="search-objective",
    )  # fmt: skip
    prune = gr.Dropdown(
        _choices(PRUNES), value="minor", label="What is dropped", info="Others are for comparison",
        elem_id="search-prune",
    )  # fmt: skip
    projection = gr.Checkbox(
        False, label="Search the projections too", info="Each tower's last matrix, first"
    )
    predicted = gr.Checkbox(
        False,
        label="Use predicted labels",
        info="The best label instead of the true one decides which patches are OOD",
    )
    with gr.Row():
        batch = gr.Number(
            512, label="Batch size", info="Pictures that share one mean OOD loss",
            precision=0, min_width=110,
        )  # fmt: skip
        seed = gr.Number(0, label="Seed", info="Of random parts", precision=0, min_width=110)
    cuda = any(device.startswith("cuda") for device in devices)
    precision = gr.Dropdown(
        _choices(PRECISIONS), value="fp32", label="Precision",
        info="Of the network; losses are exact", visible=cuda,
    )  # fmt: skip
    quick = gr.Checkbox(
        False,
        label="Quick search",
        info="Large networks: every candidate in half precision, in full those that may win",
        elem_id="search-quick",
    )
    return [
        lambda_ood, k, order, weight, objective, prune, projection, predicted, batch, seed,
        precision, quick,
    ]  # fmt: skip


def _choices(titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """As a dropdown takes them."""
    return [(title, name) for name, title in titles.items()]
