"""The parts of the Benchmark tab: what is chosen, and what is behind one cell of its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from demo.benchmark.components.brush import Brush
from demo.benchmark.components.differences import Differences
from demo.benchmark.components.figure_keys import FigureKeys
from demo.benchmark.components.labels import TakenFor
from demo.benchmark.components.rates import Rates
from demo.benchmark.components.selected import Selected
from demo.benchmark.handlers import ORIGINAL
from demo.benchmark.sets import id_choices, ood_choices
from demo.benchmark.view import View
from demo.page.choices import default_recipe, score_choices
from demo.page.components.heading import head
from demo.page.uploads import zip_file
from demo.server.library import Library
from demo.server.limits import MAX_SETS_BYTES, MAX_SETS_FILES
from demo.server.request import NO_RECIPE, given_recipe, recipe_of
from setar_core.data.archives.contents import MAX_FILES, MAX_TOTAL

LIMITS = (
    f"A zip is one set: up to {MAX_FILES:,} images and {MAX_TOTAL // 10**9} GB unpacked, in a "
    "folder a class for accuracy. Uploads stay on the machine that runs this page."
)


class Choice(NamedTuple):
    """The controls of this tab, in the order of `Controls`."""

    recipes: gr.CheckboxGroup
    scores: gr.CheckboxGroup
    inside: gr.Dropdown
    id_zip: gr.File
    outside: gr.CheckboxGroup
    ood_zips: gr.File


def recipe_names(library: Library, backbone: str, own: Sequence[str] = ()) -> list[str]:
    """The weights to choose from: the original, shipped recipes, and those of `own` that are kept
    for this backbone."""
    made = {title: library.made_recipe(title) for title in own}
    name = library.backbone(backbone).name if library.is_loaded(backbone) else backbone
    fitting = [
        title for title, recipe in made.items() if recipe and recipe.backbone in (None, name)
    ]
    return [ORIGINAL, *library.recipes(backbone), *fitting]


def weights_offered(library: Library, backbone: str, chosen: str, ticked: list[str]) -> Any:
    """Another backbone: what is ticked stays where it still fits."""
    names = recipe_names(library, backbone, [*ticked, chosen])
    kept = [name for name in ticked if name in names]
    if kept in ([], [ORIGINAL]):
        kept = [*dict.fromkeys((ORIGINAL, names[-1]))]
    return gr.update(choices=names, value=kept)


def recipe_chosen(library: Library, backbone: str, chosen: str, ticked: list[str]) -> Any:
    """The bar's recipe is measured beside the original weights, an adapter beside the recipe below
    it too; others can be ticked again."""
    names = recipe_names(library, backbone, [*ticked, chosen])
    wanted = [ORIGINAL] if chosen == NO_RECIPE else [ORIGINAL, chosen]
    made = library.made_recipe(chosen)
    below = recipe_of(made)
    if below and below is not made:
        wanted[1:1] = [
            name
            for name in names
            if name not in wanted and given_recipe(library, backbone, name) == below
        ]
    return gr.update(choices=names, value=[name for name in wanted if name in names])


def build_choice(library: Library) -> Choice:
    """Known images, foreign images, detectors: three columns."""
    with gr.Row(elem_id="bench-choice", equal_height=False):
        with gr.Column(scale=3, min_width=280):
            head("Known images (ID)", "They show your labels and should be accepted.")
            inside = gr.Dropdown(id_choices(library), label="ID set", elem_id="bench-id")
            with gr.Accordion("Your own images, zipped", open=False):
                limits = MAX_SETS_FILES, MAX_SETS_BYTES
                id_zip = zip_file(
                    *limits, label="ID set (one zip)", height=110, elem_id="bench-zip"
                )
                ood_zips = zip_file(
                    *limits,
                    file_count="multiple",
                    label="OOD sets (a zip each)",
                    height=110,
                    elem_id="bench-zips",
                )
                gr.HTML(f'<p class="hint">{LIMITS}</p>')
        with gr.Column(scale=4, min_width=280):
            head("Foreign images (OOD)", "They show none of your labels and should be refused.")
            choices = ood_choices(library)
            shipped = [value for _, value in choices if value.startswith("shipped:")]
            outside = gr.CheckboxGroup(
                choices, value=shipped, label="OOD sets", elem_id="bench-oods"
            )
        with gr.Column(scale=3, min_width=280):
            head("Detectors", "Every score under every one of the weights, in one pass.")
            names = recipe_names(library, library.default)
            ticked = [ORIGINAL, default_recipe(library, library.default)]
            recipes = gr.CheckboxGroup(
                names,
                value=[name for name in ticked if name in names],
                label="Weights",
                elem_id="bench-recipes",
            )
            scores = gr.CheckboxGroup(
                score_choices(),
                value=["mcm", "gl_mcm"],
                label="Scores",
                elem_id="bench-score-names",
            )
    return Choice(recipes, scores, inside, id_zip, outside, ood_zips)


def build_behind() -> View:
    """What is behind one cell: rates, figures, differences, pictures."""
    with gr.Column(visible=False) as behind:
        head("Behind one cell", "One detector on one OOD set. Drag the dashed line, or type.")
        with gr.Row():
            detector = gr.Dropdown([], label="Detector", elem_id="bench-detector")
            ood = gr.Dropdown([], label="OOD set", elem_id="bench-ood")
            threshold = gr.Number(label="Threshold", elem_id="bench-threshold")
        beside = gr.CheckboxGroup(
            [], label="Beside it on the plots", visible=False, elem_id="bench-beside"
        )
        rates = Rates(elem_id="bench-rates")
        scores = gr.Plot(show_label=False, elem_id="bench-scores")
        brush = Brush(elem_id="bench-brush")
        with gr.Row(equal_height=True):
            roc = gr.Plot(show_label=False, min_width=300, elem_id="bench-roc")
            precision = gr.Plot(show_label=False, min_width=300, elem_id="bench-precision")
        keys = FigureKeys(elem_id="bench-figure-keys")
        differences = Differences(elem_id="bench-differences")
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=280):
                labels = TakenFor(elem_id="bench-labels")
            with gr.Column(scale=8, min_width=280):
                selected = Selected(elem_id="bench-selected")
    return View(
        behind=behind, detector=detector, beside=beside, ood=ood, threshold=threshold, rates=rates,
        scores=scores, brush=brush, roc=roc, precision=precision, keys=keys,
        differences=differences, labels=labels, selected=selected,
    )  # fmt: skip
