"""What the app can open: the shipped label sets, recipes and pictures, and the loaded backbones.

A visitor names a backbone; a folder or a hub repository only the person who starts the app names.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from demo.server.errand import Errand, Tell
from demo.server.models import Loadings, shown_name
from demo.server.turns import Turns
from setar_core.labels import LabelSet, shipped_label_sets
from setar_core.paths import BENCHMARK, EXAMPLES, RECIPES
from setar_core.recipe import Recipe

if TYPE_CHECKING:
    from setar_core.backbones import Backbone
    from setar_core.detector import Detector

EMBEDDED = "emoji"
SUGGESTED = (
    "ViT-B-16/openai",
    "ViT-L-14/openai",
    "ViT-B-32/laion2b_s34b_b79k",
    "timm:swinv2_base_window16_256.ms_in1k",
)
IMAGES = (".webp", ".png", ".jpg", ".jpeg")
KEPT_ALTERED = 4
KEPT_DETECTORS = 8
KEPT_RECIPES = 200

_OPEN_NAME = re.compile(r"(?=.{,120}\Z)(timm:)?[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w\-]*)?")


class Library:
    """The shelves, and a small store of loaded backbones shared by every visitor.

    Attributes:
        given: backbones named at the start of the app, by the name that visitors see.
        data: the folder whose folders of images may be measured; None offers none.
        turns: one piece of network work at a time.
    """

    def __init__(
        self,
        backbones: Sequence[str] = (EMBEDDED,),
        device: str = "cpu",
        data: str | Path | None = None,
    ) -> None:
        self.given = {shown_name(name): name for name in backbones or (EMBEDDED,)}
        self.device = device
        self.data = None if data is None else Path(data)
        self.turns = Turns()
        stay = (self.default, EMBEDDED)
        self._loadings = Loadings(device, self.given, stay, self._forget)
        self._altered: OrderedDict[tuple[str, str], Backbone] = OrderedDict()
        self._detectors: OrderedDict[tuple[Backbone, str], Detector] = OrderedDict()
        self._made: OrderedDict[str, Recipe] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def default(self) -> str:
        return next(iter(self.given))

    def backbones(self) -> list[str]:
        """Names to choose from: those given at the start, the embedded one, some well-known."""
        return list(dict.fromkeys((*self.given, EMBEDDED, *SUGGESTED)))

    def recipes(self, backbone: str) -> dict[str, Path]:
        """Shipped recipes that were made for this backbone, by title."""
        return {path.stem: path for path, made_for in _recipes() if made_for == backbone}

    def keep_recipe(self, recipe: Recipe, how: str) -> str:
        """The title by which a recipe made here can be asked for; it is on no list."""
        title = f"{how} ({recipe.fingerprint})"
        with self._lock:
            self._made[title] = recipe
            self._made.move_to_end(title)
            while len(self._made) > KEPT_RECIPES:
                self._made.popitem(last=False)
        return title

    def made_recipe(self, title: str) -> Recipe | None:
        return self._made.get(title)

    def open(self, name: str) -> Errand[Backbone]:
        """The errand that loads the backbone, begun in the background when it is not loaded yet.

        Raises:
            ValueError: a name that only the start of the app may give, or that is none; too many
                are being loaded.
        """
        return self._loadings.open(self._allowed(name))

    def waiting(self, name: str) -> Iterator[str]:
        """Plain sentences until the backbone is loaded; nothing when it is.

        Raises:
            ValueError: it cannot be had.
        """
        errand = self.open(name)
        yield from errand.sentences()
        errand.result()

    def backbone(self, name: str, recipe: Recipe | None = None) -> Backbone:
        """The loaded backbone, with the recipe on it where one is given; waits for it.

        Raises:
            ValueError: it cannot be had, or the recipe does not fit it.
        """
        original = self.open(name).result()
        if not recipe:
            return original
        key = (original.name, f"{recipe.backbone} {recipe.fingerprint}")
        with self._lock:
            if key in self._altered:
                self._altered.move_to_end(key)
                return self._altered[key]
        altered = original.with_recipe(recipe)
        with self._lock:
            self._altered[key] = altered
            while len(self._altered) > KEPT_ALTERED:
                self._altered.popitem(last=False)
        return altered

    def detector(self, name: str, recipe: Recipe | None, labels: LabelSet, tell: Tell) -> Detector:
        """A detector of the loaded backbone; the labels are read once and kept for a while.

        Raises:
            ValueError: the labels or the recipe do not fit the backbone.
        """
        from setar_core.detector import Detector

        backbone = self.backbone(name, recipe)
        key = (backbone, labels.fingerprint)
        with self._lock:
            known = self._detectors.get(key)
        if known is None:
            known = Detector(backbone, labels, progress=tell)
            with self._lock:
                self._detectors[key] = known
                while len(self._detectors) > KEPT_DETECTORS:
                    self._detectors.popitem(last=False)
        return known

    def is_loaded(self, name: str) -> bool:
        return self._loadings.is_ready(name)

    def is_near(self, name: str) -> bool:
        """Whether waiting for it holds nobody up: loaded, embedded or named at the start."""
        return self._loadings.is_trusted(name) or self.is_loaded(name)

    def status(self) -> tuple[list[str], list[str]]:
        """What is loaded, and what is being loaded or run, in words."""
        loaded, coming = self._loadings.status()
        return loaded, coming + self.turns.running()

    def _allowed(self, name: str) -> str:
        name = (name or "").strip()
        if name in self.given or name == EMBEDDED or _OPEN_NAME.fullmatch(name):
            return name
        raise ValueError(
            f"{name[:80]!r} cannot be opened from here; folders and hub repositories are named "
            f"when the app is started (python app.py --backbone ...). Choose one of "
            f"{', '.join(self.backbones())}, or write MODEL/TAG"
        )

    def _forget(self, name: str) -> None:
        with self._lock:
            for key in [key for key in self._altered if key[0] == name]:
                del self._altered[key]
            for key in [key for key in self._detectors if key[0].name == name]:
                del self._detectors[key]


def label_sets() -> dict[str, int]:
    """Shipped label sets, name to number of labels."""
    return {name: len(label_set(name)) for name in shipped_label_sets()}


@cache
def label_set(name: str) -> LabelSet:
    """A shipped label set by name.

    Raises:
        ValueError: no set of that name; a path is never opened.
    """
    if name not in shipped_label_sets():
        raise ValueError(
            f"no label set {name[:80]!r}; use one of {', '.join(shipped_label_sets())}"
        )
    return LabelSet.load(name)


def examples() -> list[Path]:
    """The pictures that the page opens with."""
    return _pictures(EXAMPLES)


def shipped_calibration(backbone: str, labels: LabelSet) -> list[Path]:
    """Shipped pictures of these labels for the embedded backbone; none where a label has none."""
    if backbone != EMBEDDED:
        return []
    folder = BENCHMARK / "calibration"
    by_label = {path.name: path for path in folder.glob("*") if path.is_dir()}
    folders = [by_label.get(name.replace(" ", "_"), by_label.get(name)) for name in labels.names]
    if None in folders:
        return []
    return [picture for path in dict.fromkeys(folders) for picture in _pictures(path)]


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES)


@cache
def _recipes() -> tuple[tuple[Path, str | None], ...]:
    found = sorted(RECIPES.glob("*.json"))
    return tuple((path, Recipe.load(path).backbone) for path in found)
