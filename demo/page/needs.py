"""What few scores need, behind More: negatives, pictures to learn from, a shaping, their options.

Only what the chosen score needs is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from demo.page import notices
from demo.page.components.heading import head
from demo.page.components.notices import Notices
from demo.page.uploads import zip_file
from demo.page.words import STAY
from demo.server.jobs import each, told
from demo.server.library import Library
from demo.server.limits import MAX_IMAGES, MAX_SEARCH_BYTES
from demo.server.request import More, checked_settings, read_settings, words_of
from demo.server.supplies import negatives_of, worth_of_examples
from setar_core.labels import few
from setar_core.labels.examples import SHARE
from setar_core.scores import DEFAULTS, MINED, SCORES, ScoreOptions, check_scores

if TYPE_CHECKING:
    from setar_core.backbones.examples import Held
    from setar_core.data.negatives import Negatives

SHAPINGS = ["react:p90", "react:1.0", "ash-p:90", "ash-b:90", "ash-s:95"]
OPTIONS = {option.name: option for option in fields(ScoreOptions)}
FEW = 6  # words of either end
NUMBERS = ("negative_temperature", "groups", "neighbors", "shrinkage")


class Needs(NamedTuple):
    """The inputs in the order of `More`, then what is around them."""

    words: gr.Textbox
    learn_from: gr.File
    shaping: gr.Dropdown
    negative_temperature: gr.Number
    groups: gr.Number
    neighbors: gr.Number
    shrinkage: gr.Number
    examples: gr.File
    share: gr.Number
    shown: Notices
    place: gr.Column
    mine: gr.Button
    told: Notices
    mined: gr.Dataframe

    @property
    def inputs(self) -> list:
        return list(self[: More._fields.index("detector")])


def build_needs() -> Needs:
    """Examples of labels, which every score can have; the rest is hidden until one needs it."""
    with gr.Row(equal_height=False):
        examples = gr.File(
            label="Pictures of your labels (zip, a folder a label)",
            file_types=[".zip"],
            height=140,
            elem_id="examples-zip",
        )
        with gr.Column(min_width=260):
            share = gr.Number(
                SHARE,
                label="Share of examples",
                info="What a label means: 0 its text alone, 1 its pictures alone",
                minimum=0,
                maximum=1,
                step=0.05,
                elem_id="example-share",
            )
            shown = Notices(elem_id="examples-notice")
    with gr.Column(visible=False, elem_id="needs") as place:
        head("For this score", "What it needs besides your labels.")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=260):
                words = gr.Textbox(
                    label="Negative words, one a line",
                    info="Words that pictures must not resemble; left empty, they are mined: "
                    "those farthest from your labels",
                    lines=4,
                    max_lines=8,
                    visible=False,
                    elem_id="negative-words",
                )
                mine = gr.Button("Show the words", size="sm", visible=False, elem_id="mine")
                learn_from = zip_file(
                    MAX_IMAGES,
                    MAX_SEARCH_BYTES,
                    label="Pictures to learn from (zip, a folder a label)",
                    height=140,
                    visible=False,
                    elem_id="learn-from",
                )
                shaping = gr.Dropdown(
                    [("none", ""), *((name, name) for name in SHAPINGS)],
                    value="",
                    label="Shaping",
                    info="Cuts or thins features before scores of logits; made for ReLU networks",
                    allow_custom_value=True,
                    visible=False,
                    elem_id="shaping",
                )
            with gr.Column(min_width=260), gr.Row():
                numbers = {name: _number(name) for name in NUMBERS}
        told = Notices(elem_id="mined-notice")
        mined = gr.Dataframe(
            headers=["word", "kind", "distance"],
            datatype=["str", "str", "number"],
            show_search="search",
            max_height=300,
            interactive=False,
            visible=False,
            label="Negative words, the farthest first",
            elem_id="mined",
        )
    return Needs(
        words, learn_from, shaping, **numbers, examples=examples, share=share, shown=shown,
        place=place, mine=mine, told=told, mined=mined,
    )  # fmt: skip


def needed(score: str) -> list[Any]:
    """Which of `Needs` the score shows, in its order."""
    found = SCORES.get(score)
    if found is None:
        return [gr.skip()] * len(Needs._fields)
    mines, shapes = bool(found.needs & MINED), found.needs <= {"logits"}
    shown = [mines, found.learns, shapes, *(name in found.options for name in NUMBERS)]
    parts = [gr.update(visible=visible) for visible in shown]
    stay = [gr.skip()] * 3  # examples can be had with every score
    around = [gr.update(visible=visible) for visible in (any(shown), mines)]
    return [*parts, *stay, *around, None, gr.update(visible=False)]


def show_words(library: Library, *bar: Any) -> Iterator[tuple[Any, Any]]:
    """The negatives of the bar's labels, after the progress of mining them."""
    backbone, labels, prompt, _, score, temperature, local_weight, words, *_ = bar
    try:
        check_scores((str(score),))
        ways = sorted(SCORES[str(score)].needs & MINED)
        if not ways:
            raise ValueError("this score looks at no negative words; choose NegLabel or CSP")
        settings = checked_settings(
            backbone, labels, prompt, None, score, temperature, local_weight, More(words)
        )
        steps = negatives_of(library, backbone, settings.labels, ways[0], words_of(words))
        mined = yield from each(
            told("", steps, STAY), lambda step: (notices.busy(*step), gr.skip())
        )
    except ValueError as error:
        yield notices.failure(error), gr.skip()
        return
    yield _told(mined), gr.update(value=_rows(mined), visible=True)


def show_examples(library: Library, *bar: Any) -> Iterator[Any]:
    """What the examples are worth on pictures that are held back, after the progress of reading
    them; nothing where there are none."""
    try:
        settings = read_settings(library, *bar)
        if not settings.examples:
            yield None
            return
        steps = told("", worth_of_examples(library, settings), STAY)
        held = yield from each(steps, lambda step: notices.busy(*step))
    except ValueError as error:
        yield notices.failure(error)
        return
    yield _worth(held)


def _worth(held: Held | None) -> notices.Notice:
    if held is None:
        return notices.notice("Every label with examples has one, so none can be held back.")
    better = "better" if held.mixed > held.text else "no better"
    return notices.notice(
        f"Of {held.pictures} examples, judged with the other half of them, {held.mixed:.1%} get "
        f"their label, and {held.text:.1%} by text alone: {better}.",
        "good" if held.mixed > held.text else "warn",
    )


def _told(mined: Negatives) -> notices.Notice:
    """How many there are, and from which end they come."""
    words = [word.word for word in mined.words]
    far, near = few(words[:FEW]), few(words[::-1][:FEW])
    said = [] if mined.words[0].distance is None else [f"farthest: {far}", f"nearest: {near}"]
    return notices.notice(f"{len(words):,} negative words.", "info", [*said, *mined.doubts])


def _rows(mined: Negatives) -> list[list[Any]]:
    return [
        [w.word, w.kind, None if w.distance is None else round(w.distance, 4)] for w in mined.words
    ]


def _number(name: str) -> gr.Number:
    option, default = OPTIONS[name], getattr(DEFAULTS, name)
    kind = option.metadata.get("kind", float)
    unset = "; 0 leaves it to the score" if kind is int else ""
    return gr.Number(
        0 if kind is int else default,  # an empty field of whole numbers comes as 0
        label=name.replace("_", " ").capitalize(),
        info=notices.begun(option.metadata["help"]) + unset,
        precision=0 if kind is int else None,
        min_width=160,
        visible=False,
        elem_id=name.replace("_", "-"),
    )
