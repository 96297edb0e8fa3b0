"""The test sets of the emoji world, drawn from seeds that training may not use."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from assets.build import world
from assets.build.drawing import backgrounds, scenes, sprites

FIRST_SEED = 1000  # training seeds lie below
CHUNK = 40  # scenes drawn at a time


class Box(NamedTuple):
    """What an object covers, in image sides from the left and from the top."""

    name: str
    left: float
    top: float
    right: float
    bottom: float


class Scene(NamedTuple):
    """One drawn scene: its picture (3, side, side) in [0, 1], the name of its main object, and
    where its objects lie, the main one first."""

    picture: Tensor
    name: str
    boxes: tuple[Box, ...] = ()


class SceneSet(NamedTuple):
    """What a set shows: the main objects in turn, and what may lie beside them."""

    seed: int
    mains: Callable[[], list[world.Concept]]
    beside: Callable[[], list[world.Concept]]
    crowded: bool = False
    grey: bool = False


def _named(*groups: str) -> list[world.Concept]:
    return [c for c in world.concepts() if c.group in groups]


def _seen() -> list[world.Concept]:
    return list(world.trained())


def _strangers() -> list[world.Concept]:
    """Trained concepts that are not ID labels."""
    return [c for c in world.trained() if c.group != world.ID_GROUP]


def _others() -> list[world.Concept]:
    """Trained concepts that are no animals at all."""
    return [c for c in _strangers() if not c.group.startswith("animal")]


def _unseen() -> list[world.Concept]:
    return list(world.held_out())


def _group(name: str) -> Callable[[], list[world.Concept]]:
    return lambda: _named(name)


SETS: dict[str, SceneSet] = {
    "id": SceneSet(1001, _group(world.ID_GROUP), _others),
    "calibration": SceneSet(1002, _group(world.ID_GROUP), _others),
    "near": SceneSet(1003, _unseen, _unseen),
    "other": SceneSet(1004, _strangers, _strangers),
    "glyphs": SceneSet(1005, lambda: list(world.glyphs()), lambda: list(world.glyphs())),
    "textures": SceneSet(1006, list, list),
    "noise": SceneSet(1007, list, list),
    "all": SceneSet(1011, _seen, _seen),
    "grey": SceneSet(1012, _seen, _seen, grey=True),
    "crowd": SceneSet(1013, _group(world.ID_GROUP), _others, crowded=True),
    "crowd other": SceneSet(1014, _others, _others, crowded=True),
    "crowd near": SceneSet(1015, _unseen, _unseen, crowded=True),
} | {
    group: SceneSet(1020 + k, _group(group), _group(group))
    for k, group in enumerate(
        (
            "animal_unseen",
            "food_unseen",
            "vehicle_unseen",
            "object_unseen",
            "symbol_unseen",
            "animal_other",
            "food",
            "vehicle",
        )
    )
}
OOD_SETS = ("near", "other", "textures", "glyphs", "noise")


def draw_set(name: str, count: int, side: int, seed: int | None = None) -> Iterator[Scene]:
    """The first `count` scenes of a set, the same whatever the count; `seed` in place of its own.

    Objects take turns in a shuffled order, so that every one of them comes up about equally often.
    Raises: ValueError for a seed below FIRST_SEED.
    """
    chosen = SETS[name]
    seed = chosen.seed if seed is None else seed
    if seed < FIRST_SEED:
        raise ValueError(f"seed {seed} may have drawn training scenes; use {FIRST_SEED} or more")
    gen = torch.Generator().manual_seed(seed)
    for start in range(0, count, CHUNK):
        if name == "textures":
            drawn = _textures(CHUNK, side, gen)
        elif name == "noise":
            drawn = (Scene(p, "noise") for p in backgrounds.noise(CHUNK, side, gen))
        else:
            drawn = _objects(chosen, start, CHUNK, side, gen)
        yield from islice(drawn, count - start)


def _textures(size: int, side: int, gen: torch.Generator) -> Iterator[Scene]:
    names = list(backgrounds.HELD_OUT)
    for k in range(size):
        family = names[k % len(names)]
        yield Scene(backgrounds.draw_family(family, 1, side, gen)[0], family)


def _objects(
    chosen: SceneSet, start: int, size: int, side: int, gen: torch.Generator
) -> Iterator[Scene]:
    mains, beside = chosen.mains(), chosen.beside()
    order = torch.randperm(len(mains), generator=torch.Generator().manual_seed(chosen.seed))
    main = [mains[order[(start + k) % len(mains)]] for k in range(size)]
    chance = torch.rand(size, generator=gen)
    count = 1 + (chance < 0.3).long() + (chance < 0.08).long()
    count = torch.where(torch.tensor(chosen.crowded), 3, count)
    things = [(m, *_distinct(m, beside, gen)) for m in main]
    characters = "".join(dict.fromkeys("".join(c.emoji for trio in things for c in trio)))
    rows = torch.tensor([[characters.index(_variant(c, gen)) for c in trio] for trio in things])
    rows[torch.arange(scenes.MAX_OBJECTS) >= count[:, None]] = -1
    layout = scenes.arrange(rows, gen, torch.full((size,), chosen.crowded))
    names = list(backgrounds.TRAINED)
    family = torch.randint(len(names), (size,), generator=gen).tolist()
    grounds = torch.cat([backgrounds.draw_family(names[k], 1, side, gen) for k in family])
    pictures = scenes.draw(sprites.atlas_of(characters), layout, grounds)
    if chosen.grey:
        pictures = scenes.greyed(pictures)
    places = scenes.boxes(sprites.atlas_of(characters), layout)
    for picture, trio, place in zip(pictures, things, places.tolist(), strict=True):
        lying = zip(trio, place, strict=False)
        boxes = tuple(Box(concept.name, *where) for concept, where in lying if any(where))
        yield Scene(picture, trio[0].name, boxes)


def _distinct(
    main: world.Concept, beside: list[world.Concept], gen: torch.Generator
) -> list[world.Concept]:
    """Two more concepts, neither the main one."""
    order = torch.randperm(len(beside), generator=gen)[:3].tolist()
    return [beside[i] for i in order if beside[i] != main][:2]


def _variant(concept: world.Concept, gen: torch.Generator) -> str:
    return concept.emoji[int(torch.randint(len(concept.emoji), (1,), generator=gen))]
