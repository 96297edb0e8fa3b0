"""The concepts of the emoji world: their names, their groups, and which of them training may see.

Everything outside this file asks `trained()` and `held_out()`; no other list of concepts exists.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

ID_GROUP = "animal_id"

# Enclosed letters and digits, ideographs, zodiac signs, arrows, play buttons, religious and
# mathematical signs: drawn glyphs that are signs rather than things. Never trained on.
GLYPHS = (
    "🅰🅱🅾🅿🆎🆑🆒🆓🆔🆕🆖🆗🆘🆙🆚Ⓜ🔠🔡🔢🔣🔤ℹ™©®"
    "🈁🈂🈚🈯🈲🈳🈴🈵🈶🈷🈸🈹🈺🉐🉑㊗㊙"
    "♈♉♊♋♌♍♎♏♐♑♒♓⛎"
    "⬆↗➡↘⬇↙⬅↖↕↔↩↪⤴⤵🔃🔄🔙🔚🔛🔜🔝"
    "▶⏩⏭⏯◀⏪⏮🔼⏫🔽⏬⏸⏹⏺⏏🔀🔁🔂🔅🔆📶📳📴"
    "🕉✡☸☯✝☦☪☮🕎🔯🛐⚛"
    "➕➖➗✖♾❓❔❕❗〰💱💲♀♂⚕🔱📛🔰⭕✅☑✔❌❎➰➿〽✳✴❇"
    "🏧🚮🚰♿🚹🚺🚻🚼🚾🛂🛃🛄🛅"
)

_PLURAL = {
    "grapes",
    "cherries",
    "french fries",
    "bowling pins",
    "headphones",
    "scissors",
    "glasses",
    "jeans",
    "pancakes",
    "footprints",
}
_MASS = {
    "broccoli",
    "bread",
    "cheese",
    "bacon",
    "popcorn",
    "sushi",
    "coffee",
    "wine",
    "beer",
    "corn",
    "garlic",
    "milk",
    "spaghetti",
    "badminton",
    "fire",
    "ice cream",
    "recycling",
    "salad",
}


class Concept(NamedTuple):
    """One thing of the world: its English name, its group, and the code points that draw it."""

    name: str
    group: str
    emoji: str

    @property
    def phrase(self) -> str:
        """The name with its article: "an owl", "grapes", "bread"."""
        if self.name in _PLURAL | _MASS:
            return self.name
        return f"{article(self.name)} {self.name}"


def article(words: str) -> str:
    """The indefinite article before `words`, by sound."""
    vowel_sound = words[0] in "aeiou" and not words.startswith(("uni", "eu", "one", "use"))
    return "an" if vowel_sound or words.startswith("hour") else "a"


@cache
def concepts() -> tuple[Concept, ...]:
    """Every concept, in the order of the list."""
    groups = json.loads((Path(__file__).parent / "concepts.json").read_text("utf-8"))
    return tuple(
        Concept(name, group, emoji) for group, rows in groups.items() for name, emoji in rows
    )


@cache
def trained() -> tuple[Concept, ...]:
    """The concepts that training scenes may contain; their order numbers the labels."""
    return tuple(c for c in concepts() if not c.group.endswith("_unseen"))


@cache
def held_out() -> tuple[Concept, ...]:
    """The concepts that no training scene or caption ever contains."""
    return tuple(c for c in concepts() if c.group.endswith("_unseen"))


def glyphs() -> tuple[Concept, ...]:
    """The sign glyphs as concepts of the group "glyph"; never trained on."""
    return tuple(Concept(f"sign {ord(char):x}", "glyph", char) for char in GLYPHS)


def numbers(*groups: str) -> list[int]:
    """The label numbers of the trained concepts in `groups`."""
    return [i for i, concept in enumerate(trained()) if concept.group in groups]


LABEL_SETS = {
    "animals": (ID_GROUP,),
    "all_animals": (ID_GROUP, "animal_other"),
    "food": ("food",),
    "vehicles": ("vehicle",),
    "sports": ("sport",),
    "music": ("music",),
    "buildings": ("building",),
    "nature": ("nature",),
    "household": ("household",),
    "all": tuple(dict.fromkeys(c.group for c in trained())),
}
"""Name of each shipped label set -> the groups in it."""


def label_names(label_set: str) -> list[str]:
    """The labels of one shipped set, in label order."""
    return [trained()[i].name for i in numbers(*LABEL_SETS[label_set])]
