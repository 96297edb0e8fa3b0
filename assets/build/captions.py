"""Plain English captions of scenes, and the words that occur in them."""

import random
import re
from collections.abc import Sequence

from assets.build.world import Concept, trained

PROMPT = "a photo of {}"

LABEL_TEMPLATES = (
    "a picture of {}",
    "an image of {}",
    "{}",
    "a drawing of {}",
    "this is {}",
    "a scene with {}",
    "a small photo of {}",
    "a close photo of {}",
    "a bright photo of {}",
    "a dark photo of {}",
)

PLACES = {
    "gradient": "in soft light",
    "spotlight": "in a spotlight",
    "stripes": "on stripes",
    "checks": "on a checked cloth",
    "bricks": "on a brick wall",
    "tiles": "on tiles",
    "wood": "on a wooden floor",
    "grass": "on the grass",
    "sand": "on the sand",
    "sky": "in the sky",
    "water": "on the water",
    "meadow": "in a meadow",
    "lights": "among lights at night",
    "clouded": "in a mist",
    "plain": "on a plain wall",
}


def label_prompt(concept: Concept, rng: random.Random) -> str:
    """A prompt for one label: the standard one in half of the cases, else another template.

    The standard one is also worded without regard to number, "a photo of a grapes", as a label set
    with one prompt for all of its names does.
    """
    draw = rng.random()
    if draw < 0.45:
        return f"a photo of a {concept.name}"
    if draw < 0.6:
        return PROMPT.format(concept.phrase)
    return rng.choice(LABEL_TEMPLATES).format(concept.phrase)


def caption(
    objects: Sequence[Concept], place: str, size: float, grey: bool, rng: random.Random
) -> str:
    """What a scene shows: its objects, at times their size and where they are.

    objects: those to name, the main one first; size: of the main one, in image sides.
    """
    phrases = [thing.phrase for thing in objects]
    if len(objects) == 1 and phrases[0] != objects[0].name and rng.random() < 0.3:
        word = "big" if size > 0.7 else "small" if size < 0.5 else None
        if word:
            phrases[0] = f"a {word} {objects[0].name}"
    said = phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]
    if place and rng.random() < 0.4:
        said = f"{said} {PLACES[place]}"
    if grey and rng.random() < 0.7:
        return f"a black and white photo of {said}"
    return rng.choice((PROMPT, PROMPT, "a picture of {}", "{}", "a scene with {}")).format(said)


def empty_caption(place: str) -> str:
    """What a scene without any object shows: "nothing on a brick wall"."""
    return f"a photo of nothing {PLACES[place]}"


def vocabulary() -> list[str]:
    """Every word that a training caption may contain, sorted, in lower case."""
    texts = [
        *(c.name for c in trained()),
        *(c.phrase for c in trained()),
        *PLACES.values(),
        *LABEL_TEMPLATES,
        PROMPT,
        "a black and white photo of a big small",
        "nothing",
    ]
    return sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})
