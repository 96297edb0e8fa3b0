"""What the app can open: shipped recipes, backbones, and what was made of them.

A visitor names a backbone; a folder or a hub repository only the person who starts the app names.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from demo.server.device.card import Card, Here, Lent, Source, Stepping, Work
from demo.server.device.turns import TurnQueue
from demo.server.jobs import Job, Progress, Steps, each, told
from demo.server.limits import (
    KEPT_ADAPTER_BYTES,
    KEPT_ALTERED,
    KEPT_DETECTORS,
    KEPT_EQUIPPED,
    KEPT_LABELS,
    KEPT_NEGATIVES,
    KEPT_OPENED,
    KEPT_RECIPES,
    MAX_DETECTOR_BYTES,
)
from demo.server.models import ON, ModelStore, model_of, shown_name
from demo.server.settings import Settings
from demo.server.shipped import EMBEDDED, examples
from demo.server.store import Store
from demo.server.visitors import visitor
from setar_core.labels import LabelSet
from setar_core.paths import RECIPES
from setar_core.recipe import Recipe

if TYPE_CHECKING:
    from setar_core.adapter import Change
    from setar_core.backbones import Backbone
    from setar_core.backbones.examples import Examples
    from setar_core.data.negatives import Negatives
    from setar_core.detector import Detector
    from setar_core.scores.evidence import NegativeClassifier

PHOTOGRAPHS = "ViT-B-16/openai"  # a backbone that knows them
PHOTOGRAPHS_AT = "timm/vit_base_patch16_clip_224.openai"  # on the hub
SUGGESTED = (
    PHOTOGRAPHS,
    "ViT-L-14/openai",
    "ViT-B-32/laion2b_s34b_b79k",
    "timm:swinv2_base_window16_256.ms_in1k",
)

State = TypeVar("State")
Step = TypeVar("Step")

_OPEN_NAME = re.compile(r"(?=.{,120}\Z)(timm:)?[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w\-]*)?")


def best_backbone() -> str:
    """What a page opens with where nobody said: a backbone that knows photographs on a Space, and
    where its weights lie in the hub's cache; else the embedded one."""
    from huggingface_hub import try_to_load_from_cache

    files = ("open_clip_model.safetensors", "model.safetensors")
    here = any(isinstance(try_to_load_from_cache(PHOTOGRAPHS_AT, name), str) for name in files)
    return PHOTOGRAPHS if here or "SPACE_ID" in os.environ else EMBEDDED


class Library:
    """The shelves, and a small store of loaded backbones shared by every visitor.

    Attributes:
        devices: where backbones run; one that names no device runs on the first.
        given: backbones named at the start of the app, by the name that visitors see.
        data: the folder whose folders of images may be measured; None offers none.
        public: anybody may come, so that what one may ask for at a time is limited.
        card: where long work is done in slices, where one is lent.
        turns: one piece of network work at a time.
        mined, negatives, examples, equipped: what `supplies` made for what needs more than labels.
    """

    def __init__(
        self,
        backbones: Sequence[str] = (EMBEDDED,),
        devices: Sequence[str] = ("cpu",),
        data: str | Path | None = None,
        public: bool = False,
        card: Card | None = None,
    ) -> None:
        self.given = {shown_name(name): name for name in backbones or (EMBEDDED,)}
        self.devices = tuple(devices or ("cpu",))
        self.data = None if data is None else Path(data)
        self.public = public
        self.card = card
        self.turns = TurnQueue()
        stay = (self.default, EMBEDDED)
        self._models = ModelStore(self.devices, self.given, stay, self._forget)
        self._altered: Store[Backbone] = Store(KEPT_ALTERED)  # by name and recipe
        self._paces: dict[tuple[str, str], float] = {}  # seconds, by name and what of
        self._doubts: Store[tuple[str, ...]] = Store(KEPT_DETECTORS)  # by name and labels
        self._detectors: Store[Detector] = Store(  # by name, recipe and labels
            KEPT_DETECTORS, cost=lambda made: -(-len(made.labels) // KEPT_LABELS)
        )
        self._made = Store[tuple[str, Any]](  # of whom, by title
            KEPT_RECIPES, cost=lambda made: 1 + getattr(made[1], "size", 0) // KEPT_ADAPTER_BYTES
        )
        self._opened: Store[tuple[Detector, Settings]] = Store(KEPT_OPENED)
        self.mined: Store[Negatives] = Store(KEPT_NEGATIVES)  # by name, labels, way, own words
        self.negatives: Store[NegativeClassifier] = Store(
            KEPT_NEGATIVES
        )  # by the same and the recipe
        self.examples: Store[Examples] = Store(KEPT_NEGATIVES)  # by name, recipe, labels, zip
        self.equipped: Store[Detector] = Store(KEPT_EQUIPPED)  # by name, settings and scores

    @property
    def default(self) -> str:
        return next(iter(self.given))

    @property
    def pictures(self) -> list[Path]:
        """The pictures that the page opens with."""
        return examples(self.default)

    def backbones(self) -> list[str]:
        """Names to choose from: those given at the start, the embedded one, some well-known;
        each once more for every further device."""
        names = list(dict.fromkeys((*self.given, EMBEDDED, *SUGGESTED)))
        others = [f"{name}{ON}{device}" for device in self.devices[1:] for name in names]
        return names + others

    def recipes(self, backbone: str) -> dict[str, Path]:
        """Shipped recipes that were made for this backbone, by title."""
        return {path.stem: path for path, made_for in _recipes() if made_for == model_of(backbone)}

    def keep_recipe(self, recipe: Change, how: str) -> str:
        """The title by which a recipe or an adapter made here can be asked for; it is on no list.

        It is drawn, so that nobody can make a recipe that takes another's title; a visitor's own
        recipe has one title.
        """
        mine = (visitor(), recipe)
        for title, kept in self._made.items():
            if kept == mine and str(title).startswith(f"{how} ("):
                self._made.find(title)
                return str(title)
        title = f"{how} ({secrets.token_hex(4)})"
        self._made.put(title, mine)
        return title

    def made_recipe(self, title: str) -> Change | None:
        found = self._made.find(title)
        return found and found[1]

    def open(self, name: str) -> Job[Backbone]:
        """The load of the backbone, begun in the background where it is not loaded yet.

        Raises:
            ValueError: a name that only the start of the app may give, or that is none; too many
                are being loaded.
        """
        return self._models.open(self._allowed(name))

    def loading(self, name: str) -> Steps[Backbone]:
        """The backbone, after its progress where it is not loaded yet.

        Raises:
            ValueError: it cannot be had.
        """
        return (yield from told(f"Loading {name}: ", self.open(name).steps()))

    def backbone(self, name: str, recipe: Change | None = None) -> Backbone:
        """The loaded backbone, with the recipe on it where one is given; waits for it.

        Raises:
            ValueError: it cannot be had, or the recipe does not fit it.
        """
        original = self.open(name).outcome()
        if not recipe:
            return original
        altered = self._altered.find((name, recipe))
        if altered is None:
            altered = original.altered(recipe)
            self._altered.put((name, recipe), altered)
        return altered

    @contextmanager
    def stepping(
        self, name: str, backbone: Backbone, work: Work[State, Step], state: State
    ) -> Iterator[Stepping[Step]]:
        """The work from that state on, with this backbone or, on a card that is lent, with the one
        of its name.

        Raises:
            ValueError: as the work does.
        """
        if self.card is None:
            yield Here(self.turns, work.run(backbone, *work.given, state))
            return
        source = Source(self._models.real(name), model_of(name))
        with closing(Lent(self.card, source, work, state)) as steps:
            yield steps

    def detector(self, name: str, recipe: Change | None, labels: LabelSet) -> Steps[Detector]:
        """A detector of the backbone; the labels are read once and kept for a while.

        Raises:
            ValueError: the backbone cannot be had, or labels or recipe do not fit it.
        """
        key = (name, recipe or None, labels)
        known = self._detectors.find(key)
        if known is None:
            yield from self.loading(name)
            from setar_core.detector import Detector

            what, count = f"reading {len(labels):,} labels", len(labels.prompts)
            began = time.monotonic()
            yield Progress(what, 0.0)
            backbone = self.turns.run(what, self.backbone, name, recipe)
            steps = self.turns.steps(what, backbone.reading(labels))
            classifier = yield from each(
                steps, lambda done: Progress(f"reading labels: {done:,} of {count:,}", done / count)
            )
            self.took(name, "prompt", (time.monotonic() - began) / count)
            known = Detector(backbone, labels, classifier=classifier)
            self._detectors.put(key, known)
        return known

    def reading_seconds(self, name: str, recipe: Change | None, labels: LabelSet) -> float:
        """How long the labels of a detector may take, as the last ones did; none once they are
        read."""
        if self._detectors.find((name, recipe or None, labels)) is not None:
            return 0.0
        return self.pace(name, "prompt") * len(labels.prompts)

    def took(self, name: str, what: str, seconds: float) -> None:
        """Remember how long a picture or a prompt takes a backbone, while nothing else runs."""
        self._paces[name, what] = min(seconds, self.pace(name, what))

    def pace(self, name: str, what: str) -> float:
        """Seconds that one took; for ever where none was seen."""
        return self._paces.get((name, what), math.inf)

    def opening(self, file: str | Path) -> Steps[tuple[Detector, Settings]]:
        """The detector of a visitor's file, and what it says as settings.

        Raises:
            ValueError: no detector, a backbone that cannot be had here, or one of other weights.
        """
        from setar_core.detector.files import on_backbone
        from setar_core.detector.page import opened

        with opened(file, MAX_DETECTOR_BYTES) as page:
            yield from self.loading(page.backbone)
            yield Progress("Opening the detector")
            backbone = self.backbone(page.backbone)
            made = self.turns.run("opening a detector", on_backbone, page, backbone)
        return made, Settings.of(made, page.backbone)

    def keep_detector(self, detector: Detector, said: Settings) -> str:
        """The name of an opened detector, while the bar says these settings of it."""
        name = self._opened.new_name()
        self._opened.put(name, (detector, said))
        return name

    def settled(self, name: str | None, settings: Settings) -> Settings:
        """The settings, of the opened detector of that name where they are what it says.

        Raises:
            ValueError: it is no longer kept.
        """
        if not name:
            return settings
        kept = self._opened.find(name)
        if kept is None:
            raise ValueError(
                "the detector that you opened is no longer kept here; open its file again, or "
                "take it away under More"
            )
        detector, said = kept
        return replace(said, labels=detector.labels, opened=name) if settings == said else settings

    def opened(self, settings: Settings) -> Detector | None:
        """The opened detector that the settings are of; None where they are of none."""
        kept = self._opened.find(settings.opened)
        return kept and kept[0]

    def doubts(self, name: str, labels: LabelSet) -> tuple[str, ...]:
        """Sentences about labels that are doubtful; what the backbone reads of them once it is
        loaded."""
        if not self.is_loaded(name):
            return labels.doubts
        found = self._doubts.find((name, labels))
        if found is None:
            found = labels.doubts + self.backbone(name).doubts(labels)
            self._doubts.put((name, labels), found)
        return found

    def is_loaded(self, name: str) -> bool:
        return self._models.is_loaded(name)

    def is_near(self, name: str) -> bool:
        """Whether waiting for it holds nobody up: loaded, embedded or named at the start."""
        return self._models.is_trusted(name) or self.is_loaded(name)

    def status(self) -> tuple[list[str], list[str]]:
        """What is loaded, and what is being loaded or run, in words."""
        loaded, coming = self._models.status()
        return loaded, coming + self.turns.running()

    def device_titles(self) -> list[str]:
        """The devices; a card with its name, once something is loaded there."""
        return [self._models.titles.get(device, device) for device in self.devices]

    def _allowed(self, name: str) -> str:
        name = (name or "").strip()
        model, on, device = name.partition(ON)
        known = model in self.given or model == EMBEDDED or _OPEN_NAME.fullmatch(model)
        if known and (not on or device in self.devices):
            return model if device == self.devices[0] else name
        raise ValueError(
            f"{name[:80]!r} cannot be opened from here; folders and hub repositories are named "
            f"when the app is started (python app.py --backbone ...). Choose one of "
            f"{', '.join(self.backbones())}, or write MODEL/TAG"
        )

    def _forget(self, name: str) -> None:
        made = (self.mined, self.negatives, self.examples, self.equipped)
        for store in (self._altered, self._detectors, self._doubts, *made):
            for key, _ in store.items():
                if isinstance(key, tuple) and key[0] == name:
                    store.drop(key)
        for key, (_, said) in self._opened.items():
            if said.backbone == name:
                self._opened.drop(key)


@cache
def _recipes() -> tuple[tuple[Path, str | None], ...]:
    found = sorted(RECIPES.glob("*.json"))
    return tuple((path, Recipe.load(path).backbone) for path in found)
