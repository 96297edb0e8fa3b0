"""A page's settings as an address, and an address as settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import gradio as gr

from demo.page import choices, notices
from demo.page.choices import OWN_LABELS, Choice
from demo.page.events import KEEP
from demo.server.library import Library
from demo.server.models import model_of
from demo.server.request import NO_RECIPE, TEMPERATURES, More, given_recipe
from demo.server.shipped import EMBEDDED, label_set, label_sets
from setar_core.data.strict import short
from setar_core.labels import MAX_LABELS, PROMPT
from setar_core.labels.examples import SHARE
from setar_core.recipe import Recipe, Site
from setar_core.scores import DEFAULTS, SCORES

LONGEST = 1_500  # characters of labels in an address
PROMPTS = 200  # of a prompt
SHORT = ("shaping", "negative_temperature", "groups", "neighbors", "shrinkage", "share")
COPY = """(query) => {
  const address = location.origin + location.pathname + query;
  navigator.clipboard?.writeText(address);
  return address;
}"""


NUMBERS = {  # of an address: from, to
    "temperature": TEMPERATURES,
    "weight": (0, 100),
    "negative_temperature": TEMPERATURES,
    "groups": (1, MAX_LABELS),
    "neighbors": (1, 1e6),
    "shrinkage": (0, 1),
    "share": (0, 1),
    "recall": (0.5, 1),
    "strength": (0, 1),
}


class Opening(NamedTuple):
    """What the bar says when the page opens."""

    label_set: str
    backbone: str
    labels: str
    prompt: str
    recipe: str
    score: str
    temperature: float
    local_weight: float
    more: More = More()

    @property
    def settings(self) -> tuple:
        """As the bar has them and `read_settings` takes them."""
        return (*self[1:-1], *self.more[: More._fields.index("strength")])


def query(library: Library, *bar: Any, **more: Any) -> Any:
    """What stands behind the question mark, in a box that tells what a link cannot hold.

    `bar` are the label set and the bar's settings; `more` are settings of a tab's own. A recipe
    that is not shipped travels with its ratios.
    """
    count = len(Opening._fields) - 1
    now = Opening._make((*bar[:count], More(*bar[count:])))
    settings = {"backbone": now.backbone, "score": now.score} | more
    left_out = []
    if now.recipe in choices.recipe_choices(library, now.backbone):
        settings["recipe"] = now.recipe
    else:
        try:
            recipe = given_recipe(library, now.backbone, now.recipe)
            if recipe is not None and not isinstance(recipe, Recipe):
                raise ValueError("what was trained is a file of its own")
            settings |= {"recipe": NO_RECIPE} if recipe is None else _written(recipe)
        except ValueError:
            settings["recipe"] = NO_RECIPE
            left_out.append("the recipe")
    settings |= {"prompt": now.prompt} if now.prompt != PROMPT else {}
    settings |= {"temperature": now.temperature} if now.temperature != 1 else {}
    settings |= {"weight": now.local_weight} if now.local_weight != 1 else {}
    if now.label_set != OWN_LABELS:
        settings["labels"] = now.label_set
    elif len(now.labels) <= LONGEST:
        settings["names"] = now.labels
    else:
        left_out.append("your labels")
    for name in SHORT:
        value = getattr(now.more, name)
        settings |= {name: value} if value and value != getattr(More(), name) else {}
    if len(now.more.words or "") > LONGEST:
        left_out.append("your negative words")
    elif now.more.words:
        settings["words"] = now.more.words
    left_out += ["your pictures to learn from"] if now.more.learn_from else []
    left_out += ["the detector's file"] if now.more.detector else []
    left_out += ["your examples of labels"] if now.more.examples else []
    told = f"Too long for a link, and left out of it: {' and '.join(left_out)}" if left_out else ""
    return gr.Textbox(f"?{urlencode(settings)}", info=told or None, visible=True)


def read(library: Library, query: Mapping[str, str]) -> Opening:
    """Settings of an address; what it gets wrong, and what it leaves out, is as always.

    A classifier's labels are known once it is loaded; who opens the page waits for it only where
    that takes seconds.
    """
    backbone = query.get("backbone") or library.default
    if backbone not in library.backbones():
        backbone = library.default
    recipe = query.get("recipe", choices.default_recipe(library, backbone))
    if query.get("ratios"):
        recipe = _kept(library, backbone, query)
    elif recipe not in choices.recipe_choices(library, backbone):
        recipe = NO_RECIPE  # another recipe would be a surprise
    chosen, labels = query.get("labels", ""), query.get("names", "")[:LONGEST]
    if labels:
        chosen = OWN_LABELS
    else:
        chosen = chosen if chosen in label_sets() else choices.default_labels(backbone)
        labels = "\n".join(label_set(chosen).names)
    if library.is_near(backbone):
        job = library.open(backbone)
        job.wait()
        if job.result is not None and not job.result.has_text:
            labels, chosen = "\n".join(choices.own_labels(job.result)), OWN_LABELS
    score = query.get("score")
    return Opening(
        chosen,
        backbone,
        labels,
        query.get("prompt", PROMPT)[:PROMPTS],
        recipe,
        score if score in SCORES else next(iter(SCORES)),
        number(query, "temperature", 1.0),
        number(query, "weight", 1.0),
        More(
            query.get("words", "")[:LONGEST],
            None,
            query.get("shaping", "")[:40],
            number(query, "negative_temperature", DEFAULTS.negative_temperature),
            number(query, "groups", 0),
            number(query, "neighbors", 0),
            number(query, "shrinkage", None),
            None,
            number(query, "share", SHARE),
        ),
    )


def as_built(library: Library) -> Opening:
    """What the bar says before anything is known of the address."""
    labels = choices.default_labels(library.default)
    return Opening(
        labels,
        library.default,
        "\n".join(label_set(labels).names),
        PROMPT,
        choices.default_recipe(library, library.default),
        next(iter(SCORES)),
        1.0,
        1.0,
        More("", shaping="", groups=0, neighbors=0),
    )


def opening(library: Library, query: Mapping[str, str]) -> list:
    """Values for what `Opening` names, and what is said of the labels, of the score and of an
    address that could not be followed; nothing where the page has been built so: each would be an
    event that others follow."""
    now = read(library, query)
    missed = unheeded(query, now)
    told = notices.notice("Not all of this link could be followed.", "warn", missed)
    if now == as_built(library) and model_of(now.backbone) == EMBEDDED:
        return [KEEP] * (len(now.settings) + 3) + [told if missed else KEEP]
    recipes, settings = choices.recipe_choices(library, now.backbone, now.recipe), [*now.settings]
    settings[now.settings.index(now.recipe, 3)] = gr.Dropdown(recipes, value=now.recipe)
    return [
        now.label_set,
        *settings,
        choices.labels_counted(library, now.backbone, now.labels, now.prompt),
        choices.score_explained(now.score, now.backbone),
        told if missed else KEEP,
    ]


def arrived(library: Library, backbone: str, labels: str, prompt: str = PROMPT) -> Iterator[Choice]:
    """What a backbone changes that the opening page did not wait for."""
    if library.is_loaded(backbone):
        yield Choice(settled=backbone)
        return
    before = None if backbone == library.default else library.default
    recipe = choices.default_recipe(library, library.default)
    for choice in choices.backbone_chosen(library, backbone, labels, prompt, recipe, before):
        yield choice if choice.backbone is before else choice._replace(recipe=KEEP)


def number(query: Mapping[str, str], name: str, default: Any) -> Any:
    """A number of an address; the default where there is none in its range."""
    low, high = NUMBERS[name]
    try:
        value = float(query.get(name) or "nan")
    except ValueError:
        return default
    return value if low <= value <= high else default


def unheeded(query: Mapping[str, str], now: Opening) -> list[str]:
    """What an address asks for that the page does not do, in words, each with what it does."""
    asked = {name: query.get(name, "") for name in ("backbone", "score", "labels", "recipe")}
    names, ratios = query.get("names", ""), query.get("ratios", "")
    told = []
    if asked["backbone"] not in ("", now.backbone):
        told.append(f"the backbone {short(asked['backbone'])} is not here; {now.backbone} is shown")
    if names and len(names) > LONGEST:
        told.append(f"only the first {LONGEST:,} characters of its labels are read")
    elif asked["labels"] not in ("", now.label_set) and not names:
        told.append(f"the label set {short(asked['labels'])} cannot be used here")
    if len(query.get("prompt", "")) > PROMPTS:
        told.append(f"only the first {PROMPTS} characters of its prompt are read")
    if ratios and now.recipe == NO_RECIPE:
        told.append("its ratios are none of a recipe; nothing is dropped")
    elif asked["recipe"] not in ("", now.recipe) and not ratios:
        told.append(f"the recipe {short(asked['recipe'])} is not here; nothing is dropped")
    if asked["score"] not in ("", now.score):
        told.append(f"the score {short(asked['score'])} is unknown; {now.score} is shown")
    for name, (low, high) in NUMBERS.items():
        if query.get(name) and number(query, name, None) is None:
            told.append(
                f"{name.replace('_', ' ')} {short(query[name])} is no number from {low:g} to "
                f"{high:g}"
            )
    return told


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


def _kept(library: Library, backbone: str, query: Mapping[str, str]) -> str:
    """The title of the recipe whose ratios are in an address; `NO_RECIPE` where they are none."""
    pairs = [pair.partition(":") for pair in query["ratios"][:LONGEST].split(",")]
    try:
        ratios = {Site.parse(name): float(ratio) for name, _, ratio in pairs}
        prune, seed = query.get("prune", "minor"), int(query.get("seed", 0))
        recipe = Recipe(ratios, backbone, prune, seed, {"found": "in a link"})
    except ValueError:
        return NO_RECIPE
    return library.keep_recipe(recipe, "from a link")
