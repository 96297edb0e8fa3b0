"""Where what the tables need lies: the papers' sets as datasets.md lays them out, or the embedded
world, whose pictures are others and whose tables are the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ..data.images import find_images
from ..finetune.plan import locoop_constants
from ..labels import LabelSet, usual_top_k
from ..paths import BENCHMARK
from ..published import SETS
from .plan import NETWORKS

SMALL = {"known": 2, "foreign": 1, "learnt from": 1}  # pictures of a class, or of the first folder
FEW = 16  # pictures of a set without folders, where a world is made small


class Pictures(NamedTuple):
    """A set: its title, its folder, and how many images the published one has (none: not known)."""

    title: str
    path: Path
    counts: tuple[int, ...] = ()


class Known(NamedTuple):
    """An ID set: its images and labels, those to search and train on, and its OOD sets."""

    pictures: Pictures
    labels: str
    learnt: Pictures
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Networks and sets by what the plan calls them.

    Attributes:
        published: the pictures are the papers', so that their numbers can be set side by side.
    """

    name: str
    networks: Mapping[str, str]
    known: Mapping[str, Known]
    foreign: Mapping[str, Pictures]
    published: bool

    def lacks(self, network: str, known: str, learns: bool) -> str:
        """Why there is nothing of the two, for a row that learns or not; empty where there is."""
        if network not in self.networks:
            return f"the {self.name} world has no {network}"
        if known not in self.known:
            return f"the {self.name} world has no {SETS[known]}"
        wanted = self.known[known]
        needed = (wanted.pictures, *([wanted.learnt] if learns else []))
        missing = [p for p in needed if not p.path.is_dir()]
        return "; ".join(f"{p.title} is not there ({p.path})" for p in missing)

    def there(self, known: str, foreign: tuple[str, ...] = ()) -> list[str]:
        """The OOD sets of an ID set, or those named, that lie on the disk."""
        names = foreign or self.known[known].foreign
        return [n for n in names if n in self.foreign and self.foreign[n].path.is_dir()]

    def constants(self, network: str, known: str) -> tuple[float, int]:
        """Lambda and K, the authors' where they are published."""
        labels = len(LabelSet.load(self.known[known].labels))
        lambda_ood, top_k = locoop_constants(self.networks[network], labels)
        return lambda_ood, usual_top_k(labels) if top_k is None else top_k

    def doubts(self) -> list[str]:
        """Sets that are missing or hold another number of images than the published ones."""
        told = []
        sets = [p for k in self.known.values() for p in (k.pictures, k.learnt)]
        for pictures in (*sets, *self.foreign.values()):
            wanted = " or ".join(f"{count:,}" for count in pictures.counts)
            wanted = f"; it should hold {wanted} images" if wanted else ""
            if not pictures.path.is_dir():
                told.append(f"{pictures.title} is missing: no folder {pictures.path}{wanted}")
                continue
            try:
                count = len(find_images([pictures.path]))
            except ValueError:
                count = 0
            if pictures.counts and count not in pictures.counts:
                told.append(f"{pictures.title} has {count:,} images in {pictures.path}{wanted}")
        return told


def papers(data: Path) -> World:
    """The papers' own sets in one folder, as datasets.md lays them out."""
    foreign = {
        "inaturalist": Pictures("iNaturalist", data / "iNaturalist", (10_000,)),
        "sun": Pictures("SUN", data / "SUN", (10_000,)),
        "places": Pictures("Places", data / "Places", (10_000,)),
        "textures": Pictures("Textures", data / "Textures" / "images", (5_640,)),
        "imagenet22k": Pictures("ImageNet-22k", data / "ImageNet-22K", (18_335,)),
        "coco": Pictures("COCO", data / "OOD_COCO", (1_000,)),
        "ssb_hard": Pictures("SSB-hard", data / "SSB-hard", (49_000,)),
        "ninco": Pictures("NINCO", data / "NINCO", (5_879,)),
        "openimage_o": Pictures("OpenImage-O", data / "OpenImage-O", (17_632, 15_869)),
        "imagenet_x": Pictures("ImageNet-X", data / "ImageNet-X"),
    }
    four = ("inaturalist", "sun", "places", "textures")
    imagenet = Known(
        Pictures("ImageNet-1k", data / "ImageNet" / "val", (50_000,)),
        "imagenet1k",
        Pictures("ImageNet-1k to learn from", data / "ImageNet" / "calibration", (1_000,)),
        four,
    )
    voc = Known(
        Pictures("Pascal VOC", data / "ID_VOC_single", (906,)),
        "voc20",
        Pictures("Pascal VOC to learn from", data / "ID_VOC_calibration", (94,)),
        (*four, "imagenet22k", "coco"),
    )
    known = {"imagenet1k": imagenet, "pascal_voc": voc}
    return World("papers'", NETWORKS, known, foreign, True)


def emoji() -> World:
    """The embedded world: its backbone stands for ViT-B/16, its animals for ImageNet-1k."""
    names = ("near", "other", "textures", "glyphs", "noise")
    foreign = {name: Pictures(name, BENCHMARK / name) for name in names}
    animals = Known(
        Pictures("animals", BENCHMARK / "id"),
        "animals",
        Pictures("animals to learn from", BENCHMARK / "calibration"),
        names,
    )
    return World("emoji", {"vit-b-16": "emoji"}, {"imagenet1k": animals}, foreign, False)


def small(world: World, folder: Path) -> World:
    """The same world with a few pictures of each set, which are copied into `folder`."""

    def fewer(pictures: Pictures, each: int, name: str) -> Pictures:
        if not pictures.path.is_dir():
            return pictures
        copied = _copied(pictures.path, folder / name, each)
        return Pictures(pictures.title, copied)

    known = {
        name: one._replace(
            pictures=fewer(one.pictures, SMALL["known"], f"{name}"),
            learnt=fewer(one.learnt, SMALL["learnt from"], f"{name}-learnt"),
        )
        for name, one in world.known.items()
    }
    foreign = {n: fewer(one, SMALL["foreign"], n) for n, one in world.foreign.items()}
    return replace(world, name=f"small {world.name}", known=known, foreign=foreign)


def _copied(source: Path, target: Path, each: int) -> Path:
    """The first pictures of each folder, whole or not at all."""
    if target.is_dir():
        return target
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    taken: dict[Path, int] = {}
    for path in find_images([source]):
        most = FEW if path.parent == source else each
        count = taken[path.parent] = taken.get(path.parent, 0) + 1
        if count <= most:
            place = part / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    part.rename(target)
    return target
