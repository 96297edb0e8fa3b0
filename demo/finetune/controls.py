"""The left side of Fine-tune: how and on what to train; constants behind More."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from demo.finetune.request import SHIPPED, ZIP
from demo.finetune.words import measured
from demo.page.choices import default_labels
from demo.page.components.heading import head
from demo.page.uploads import zip_file
from demo.server.library import Library
from demo.server.limits import MAX_IMAGES, MAX_SEARCH_BYTES
from demo.server.shipped import EMBEDDED, label_sets
from setar_core.finetune.plan import LOSSES, MOVES, PRESETS, preset_plan
from setar_core.labels import usual_top_k


class Plan(NamedTuple):
    """Every component of the plan, in the order of `request.Controls`."""

    preset: gr.Dropdown
    source: gr.Radio
    zip: gr.File
    epochs: gr.Number
    rate: gr.Number
    batch_size: gr.Number
    lambda_ood: gr.Number
    top_k: gr.Number
    rank: gr.Number
    context: gr.Textbox
    augment: gr.Checkbox
    seed: gr.Number


class Left(NamedTuple):
    told: gr.HTML
    plan: Plan
    train: gr.Button
    estimate: gr.Button
    stop: gr.Button
    resume: gr.Button
    keeping: gr.Column
    use: gr.Button
    compare: gr.Button
    save: gr.Button


def told_of(preset: str, backbone: str) -> str:
    """A preset in a sentence, and what it did to the embedded network."""
    found = PRESETS[preset]
    known = f'<p class="hint">{measured(preset)}</p>' if backbone == EMBEDDED else ""
    return (
        f'<p class="hint">{found.sentence} What moves: {MOVES[found.moves]}. What is minimised: '
        f"{LOSSES[found.loss]}. arXiv:{found.source}.</p>{known}"
    )


def filled(preset: str, backbone: str, count: int | None) -> list:
    """A preset's sentence and constants, in the order of `constants`."""
    labels = count or 1000
    plan = preset_plan(preset, backbone, labels)
    top_k = usual_top_k(labels) if plan.top_k is None else plan.top_k
    return [
        told_of(preset, backbone), plan.epochs, plan.rate, plan.batch_size, plan.lambda_ood, top_k,
        plan.rank, str(plan.context), plan.augment,
    ]  # fmt: skip


def constants(left: Left) -> list:
    """What a preset fills."""
    plan = left.plan
    return [
        left.told, plan.epochs, plan.rate, plan.batch_size, plan.lambda_ood, plan.top_k,
        plan.rank, plan.context, plan.augment,
    ]  # fmt: skip


def build_plan(library: Library) -> Left:
    """Lay the left side out."""
    first = next(iter(PRESETS))
    count = label_sets().get(default_labels(library.default))
    said, epochs, rate, batch, lambda_ood, top_k, rank, context, augment = filled(
        first, library.default, count
    )
    head("How to train", "Backbone, labels and recipe are those of the bar above.")
    preset = gr.Dropdown(
        [(preset.title, name) for name, preset in PRESETS.items()],
        value=first,
        label="Method",
        info="With the constants of its paper",
        elem_id="finetune-preset",
    )
    told = gr.HTML(said, elem_id="finetune-told")
    source = gr.Radio(
        [SHIPPED, ZIP],
        value=SHIPPED,
        label="Pictures to learn from",
        info="Others are held back, to see what the training does",
        elem_id="finetune-source",
    )
    pictures = zip_file(
        MAX_IMAGES,
        MAX_SEARCH_BYTES,
        label="A zip with one folder of pictures for each label",
        height=110,
        visible=False,
        elem_id="finetune-zip",
    )
    epoch_box = gr.Number(
        epochs, label="Epochs", info="Passes through the pictures", precision=0,
        elem_id="finetune-epochs",
    )  # fmt: skip
    with gr.Row(elem_id="finetune-buttons"):
        train = gr.Button("Train", variant="primary", min_width=100, elem_id="finetune-start")
        stop = gr.Button(
            "Stop", variant="stop", min_width=100, visible=False, elem_id="finetune-stop"
        )
        resume = gr.Button("Resume", min_width=100, visible=False, elem_id="finetune-resume")
        estimate = gr.Button("How long?", min_width=100, elem_id="finetune-estimate")
    with gr.Column(visible=False, elem_id="finetune-keeping") as keeping:
        use = gr.Button("Use in Detect", variant="primary", elem_id="finetune-use")
        with gr.Row():
            compare = gr.Button("Compare in Benchmark", size="sm", min_width=110)
            save = gr.Button("Download adapter", size="sm", min_width=110)
    with gr.Accordion("More", open=False, elem_id="finetune-more"):
        with gr.Row():
            rate_box = gr.Number(rate, label="Rate", info="The highest", min_width=110)
            batch_box = gr.Number(
                batch, label="Batch size", info="Pictures a step", precision=0, min_width=110
            )
        with gr.Row():
            lambda_box = gr.Number(lambda_ood, label="λ", info="Of the OOD loss", min_width=110)
            k_box = gr.Number(
                top_k, label="K", info="A patch is OOD when K labels fit it better", precision=0,
                min_width=110,
            )  # fmt: skip
        with gr.Row():
            rank_box = gr.Number(rank, label="Rank", info="Of LoRA", precision=0, min_width=110)
            context_box = gr.Textbox(
                context, label="Context", info="A number of vectors, or words to begin with",
                min_width=110,
            )  # fmt: skip
        augment_box = gr.Checkbox(augment, label="Crop and flip pictures by chance")
        seed = gr.Number(0, label="Seed", info="Of order, crops and first values", precision=0)
    plan = Plan(
        preset, source, pictures, epoch_box, rate_box, batch_box, lambda_box, k_box, rank_box,
        context_box, augment_box, seed,
    )  # fmt: skip
    return Left(told, plan, train, estimate, stop, resume, keeping, use, compare, save)
