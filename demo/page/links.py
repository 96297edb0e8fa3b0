"""A page's settings as an address, and an address as settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import gradio as gr

from demo.page import chosen
from demo.page.bar import OWN_LABELS, default_labels, default_recipe, label_choices, recipe_choices
from demo.page.chosen import Choice
from demo.page.events import KEEP
from demo.server.library import Library, label_set, label_sets
from demo.server.request import NO_RECIPE, RECALL, TEMPERATURES, given_recipe
from setar_core.labels import PROMPT
from setar_core.recipe import Recipe, Site
from setar_core.scores import SCORES

LONGEST = 1_500  # characters of labels in an address
COPY = """(query) => {
  const address = location.origin + location.pathname + query;
  navigator.clipboard?.writeText(address);
  return address;
}"""


def query(
    library: Library,
    backbone: str,
    names: str,
    prompt: str,
    recipe: str,
    recipe_file: str | None,
    score: str,
    temperature: float,
    local_weight: float,
    chosen_set: str,
    recall: float,
) -> Any:
    """What stands behind the question mark, in a box that tells what a link cannot hold.

    A recipe that is not shipped travels with its ratios.
    """
    settings = {"backbone": backbone, "score": score, "recall": recall}
    left_out = []
    if recipe in recipe_choices(library, backbone):
        settings["recipe"] = recipe
    else:
        try:
            settings |= _written(given_recipe(library, backbone, recipe, recipe_file))
        except ValueError:
            settings["recipe"] = NO_RECIPE
            left_out.append("the recipe")
    settings |= {"prompt": prompt} if prompt != PROMPT else {}
    settings |= {"temperature": temperature} if temperature != 1 else {}
    settings |= {"weight": local_weight} if local_weight != 1 else {}
    if chosen_set != OWN_LABELS:
        settings["labels"] = chosen_set
    elif len(names) <= LONGEST:
        settings["names"] = names
    else:
        left_out.append("your labels")
    told = f"Too long for a link, and left out of it: {' and '.join(left_out)}" if left_out else ""
    return gr.Textbox(f"?{urlencode(settings)}", info=told or None, visible=True)


class Opening(NamedTuple):
    """What the controls say when the page opens."""

    backbone: str
    chosen_set: str
    recipe: str
    names: str
    prompt: str
    score: str
    temperature: float
    local_weight: float
    recall: float

    @property
    def controls(self) -> tuple:
        """As `read_settings` takes them."""
        score = (self.score, self.temperature, self.local_weight)
        return (self.backbone, self.names, self.prompt, self.recipe, None, *score)


def read(library: Library, asked: Mapping[str, str]) -> Opening:
    """Opening of an address; what it gets wrong, and what it leaves out, is as always.

    A classifier's labels are known once it is loaded; who opens the page waits for it only where
    that takes seconds.
    """
    backbone = asked.get("backbone") or library.default
    if backbone not in library.backbones():
        backbone = library.default
    recipe = asked.get("recipe", default_recipe(library, backbone))
    if asked.get("ratios"):
        recipe = _kept(library, backbone, asked)
    elif recipe not in recipe_choices(library, backbone):
        recipe = NO_RECIPE  # another recipe would be a surprise
    chosen_set, names = asked.get("labels", ""), asked.get("names", "")[:LONGEST]
    if names:
        chosen_set = OWN_LABELS
    else:
        chosen_set = chosen_set if chosen_set in label_sets() else default_labels(backbone)
        names = "\n".join(label_set(chosen_set).names)
    if library.is_near(backbone):
        job = library.open(backbone)
        job.wait()
        if job.result is not None and not job.result.has_text:
            names, chosen_set = "\n".join(chosen.own_labels(job.result)), OWN_LABELS
    score = asked.get("score")
    return Opening(
        backbone,
        chosen_set,
        recipe,
        names,
        asked.get("prompt", PROMPT)[:200],
        score if score in SCORES else next(iter(SCORES)),
        _number(asked.get("temperature"), 1.0, *TEMPERATURES),
        _number(asked.get("weight"), 1.0, 0, 100),
        _number(asked.get("recall"), RECALL, 0.5, 1),
    )


def opened_by(library: Library) -> Callable[[gr.Request], list]:
    """The handler of a page that opens."""

    def opened(request: gr.Request) -> list:
        return opening(library, dict(request.query_params))

    return opened


def opening(library: Library, asked: Mapping[str, str]) -> list:
    """Values for backbone, label set, recipe, names, prompt, score, temperature, local weight,
    recall, what is said of the labels and of the score."""
    found = read(library, asked)
    choices = [(score.title, name) for name, score in SCORES.items()]
    return [
        found.backbone,
        gr.Dropdown(label_choices(), value=found.chosen_set),
        gr.Dropdown(
            list(dict.fromkeys((*recipe_choices(library, found.backbone), found.recipe))),
            value=found.recipe,
        ),
        found.names,
        found.prompt,
        gr.Dropdown(choices, value=found.score),
        found.temperature,
        found.local_weight,
        found.recall,
        chosen.labels_edited(library, found.backbone, found.names, found.prompt),
        chosen.score_chosen(found.score),
    ]


def arrived(library: Library, backbone: str, names: str, prompt: str = PROMPT) -> Iterator[Choice]:
    """What a backbone changes that the opening page did not wait for."""
    if library.is_loaded(backbone):
        yield Choice()
        return
    for choice in chosen.backbone_chosen(library, backbone, names, prompt):
        yield choice._replace(recipe=KEEP)


def _written(recipe: Recipe) -> dict[str, Any]:
    """The recipe as settings of an address.

    Raises:
        ValueError: it is too long.
    """
    ratios = ",".join(f"{site}:{ratio:g}" for site, ratio in recipe.ratios.items() if ratio)
    if len(ratios) > LONGEST:
        raise ValueError(f"{len(ratios)} characters of ratios are too long for a link")
    more = {"prune": recipe.prune} if recipe.prune != "minor" else {}
    return {"ratios": ratios} | more | ({"seed": recipe.seed} if recipe.prune == "random" else {})


def _kept(library: Library, backbone: str, asked: Mapping[str, str]) -> str:
    """The title of the recipe whose ratios are in an address; `NO_RECIPE` where they are none."""
    pairs = [pair.partition(":") for pair in asked["ratios"][:LONGEST].split(",")]
    try:
        ratios = {Site.parse(name): float(ratio) for name, _, ratio in pairs}
        prune, seed = asked.get("prune", "minor"), int(asked.get("seed", 0))
        recipe = Recipe(ratios, backbone, prune, seed, {"found": "in a link"})
    except ValueError:
        return NO_RECIPE
    return library.keep_recipe(recipe, "from a link")


def _number(text: str | None, default: float, low: float, high: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if low <= value <= high else default
