"""The search's own copy of a backbone, on which one matrix at a time is replaced.

Nothing is done twice: a candidate runs from the kept state below its matrix, the other tower is
not touched, and a network that was measured before is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..backbones.base import Backbone, Classifier
from ..backbones.text import TextState, label_rows
from ..backbones.tower import Features, Tower
from ..data.calibration import CalibrationSet
from ..labels import LabelSet
from ..memory import OutOfMemory, is_out_of_memory, room
from ..parallel.workers import Workers
from ..recipe import Recipe, Site
from .caches import FeatureCache, SplitMatrix, Start, StateCache, size
from .objective import MeasureBuilder, Part
from .plan import SearchPlan
from .trial import Measures

CHUNK_TOKENS = 3300  # at once in a thread of a CPU: few calls, and near its cache
CHUNK_BYTES_CUDA = 2 * 2**30
SMALL_SHARE = 0.2  # of the memory for features, and the same for prompts, where both are needed

Result = TypeVar("Result")
Dropped = frozenset[tuple[Site, int]]  # the sites that lost components, and how many


class Evaluator:
    """Measures candidates; `settle` makes one permanent. It owns every matrix that it changes."""

    def __init__(
        self,
        backbone: Backbone,
        calibration: CalibrationSet,
        plan: SearchPlan,
        sites: Sequence[Site],
        memory: int,
    ) -> None:
        self.source = backbone.with_recipe(Recipe({})) if backbone.recipe else backbone
        self.model = self._own(sites)
        self.plan = plan
        self.workers = Workers(self.model.device, plan.precision)
        self.images = calibration.images
        self.classes = calibration.classes.to(self.model.device)
        self.labels = LabelSet(calibration.labels.names, calibration.labels.prompt)
        self.settled: dict[Site, int] = {}  # components dropped for good, where there are any
        self.loaded: dict[Site, int] = {}  # and those that are missing in the model now
        self.candidate: dict[Site, int] = {}  # what is missing in the network that is measured
        self.split: SplitMatrix | None = None
        self.last: dict[str, Site | None] = {}  # settled last, if it was taken apart
        self.known: dict[Dropped, Measures] = {}
        self.memory = memory
        self.sites = list(sites)
        self.at_once = len(self.images)  # images in a chunk, at most
        self.states: dict[str, StateCache] = {}
        self.features: dict[str, FeatureCache] = {}
        self._with_less(self._arrange)

    @property
    def messages(self) -> list[str]:
        """What is kept in memory, for each tower that is searched."""
        towers = dict.fromkeys(site.tower for site in self.sites)
        return [f"{name} tower: {self.states[name].message()}" for name in towers]

    def expect(self, sites: Iterable[Site]) -> None:
        """Which sites will still be tried."""
        self.sites = list(sites)
        for name, states in self.states.items():
            states.expect(self.model.position(site) for site in self.sites if site.tower == name)

    def recall(self, site: Site, ratio: float) -> Measures | None:
        """What is known of a candidate without running it: ratio 0 is the network as settled."""
        return self.known.get(self.key(site, ratio))

    def learn(self, site: Site, ratio: float, measures: Measures) -> None:
        """What a candidate was measured to be elsewhere, as a trace tells."""
        self.known.setdefault(self.key(site, ratio), measures)

    def measure(self, site: Site, ratio: float) -> Measures:
        """The measures of the settled recipe with `ratio` at `site`.

        Raises:
            OutOfMemory: not even one image at a time fits on the device.
        """
        found = self.builder(site, ratio).build()
        self.known[self.key(site, ratio)] = found
        return found

    def builder(self, site: Site, ratio: float) -> MeasureBuilder:
        """What `measure` makes its measures of."""
        return self._with_less(lambda: self.collect(site, ratio))

    @torch.inference_mode()
    def collect(self, site: Site, ratio: float) -> MeasureBuilder:
        """A candidate's part on the device: a GPU is given all of it without waiting for any."""
        if not self.states:  # they were in the way
            self._arrange()
        counts = {**self.settled, site: self._count(site, ratio)}
        if not (self.split and self.split.site == site):
            self.split = self._split(site) if self._splits(site) else None
        self._load(self.settled if self.split else counts, {site: ratio})
        self.candidate = counts
        builder = MeasureBuilder(self.model, self.plan, self.classes)
        searched = {site.tower: self.model.position(site)}
        classifier = self._classifier(searched.get("text"))
        self._evaluate_images(builder, searched.get("visual"), classifier)
        return builder

    @torch.inference_mode()
    def settle(self, site: Site, ratio: float) -> None:
        """Drop the ratio for good."""
        count = self._count(site, ratio)
        if count:
            self.settled[site] = count
            self.last[site.tower] = site if self._splits(site) else None
            self.states[site.tower].invalidate(self.model.position(site))
        self._load(self.settled, {site: ratio})
        self.split, self.candidate = None, self.settled
        for name, kept in self.features.items():
            kept.protected = self._loaded(name)

    def _own(self, sites: Sequence[Site]) -> Backbone:
        return self.source.with_weights({site: self.source.weight(site) for site in sites})

    def _count(self, site: Site, ratio: float) -> int:
        return self.source.spectrum(site).dropped(ratio) if ratio else 0

    def key(self, site: Site, ratio: float) -> Dropped:
        """What a candidate's network lacks; the same for the same network."""
        counts = {**self.settled, site: self._count(site, ratio)}
        return frozenset((name, count) for name, count in counts.items() if count)

    def _loaded(self, tower: str) -> Dropped:
        """What of this tower is missing in the candidate."""
        return frozenset((s, n) for s, n in self.candidate.items() if n and s.tower == tower)

    def _splits(self, site: Site) -> bool:
        """Whether the site can be taken apart, and there is room for it."""
        tower, states = self.model.tower(site.tower), self.states[site.tower]
        block = tower.sites()[site.block, site.weight]
        apart = site.weight == "up" and block is not None and tower.opens(block)
        if not apart or self.plan.prune == "random" or self.plan.precision == "bf16":
            return False
        made, width = self.source.weight(site).shape
        most = self._count(site, self.plan.ratios[-1])
        return states.unit * (made + most) / width <= states.free()

    def _split(self, site: Site, once: bool = False) -> SplitMatrix:
        return SplitMatrix(site, self.source, self.plan.ratios, self.plan.prune, once)

    def _load(self, counts: dict[Site, int], ratios: dict[Site, float]) -> None:
        """Make the model drop these; a site that changes back is the original again."""
        counts = {site: count for site, count in counts.items() if count}
        for site in [*self.loaded, *counts]:
            if self.loaded.get(site) == counts.get(site):
                continue
            ratio = ratios[site] if site in counts else 0.0
            matrix = self.source.dropped_from(site, ratio, self.plan.prune, self.plan.seed)
            self.model.slot(site).matrix.copy_(matrix)
            self.loaded[site] = counts.get(site, 0)
        self.loaded = counts

    def _evaluate_images(
        self, builder: MeasureBuilder, cut: int | None, classifier: Classifier
    ) -> None:
        """Every chunk of images; `cut` is where the searched matrix stands, None in the other
        tower."""
        kept = self.features["visual"]
        key = self._loaded("visual")
        ready = kept.get(key)
        made = self._chunk("visual", cut) if ready is None else ready.__getitem__

        def judged(number: int) -> tuple[Features, list[Part]]:
            features = made(number).float()
            return features, builder.parts_of(features, classifier, number * self.at_once)

        needed = cut is None  # the other tower's are used again and again
        rows: list[Features] = []
        room = kept.budget
        for features, parts in self.workers.each(judged, self.states["visual"].chunks):
            builder.parts += parts
            room -= size(features)
            if needed or room >= 0:
                rows.append(features)
            else:
                rows.clear()
        if ready is None and (needed or room >= 0):
            kept.put(key, rows, needed)

    def _classifier(self, cut: int | None) -> Classifier:
        if not self.model.has_text:
            return self.model.classifier(self.labels)
        kept = self.features["text"]
        key = self._loaded("text")
        if (ready := kept.get(key)) is None:
            parts = self.workers.each(self._chunk("text", cut), self.states["text"].chunks)
            rows = torch.cat([part.float() for part in parts])
            rows = torch.empty_like(rows).index_copy_(0, self.order, rows)
            ready = [label_rows(rows, len(self.labels.templates))]
            kept.put(key, ready, cut is None)
        return Classifier(ready[0], None)

    def _chunk(self, name: str, cut: int | None) -> Callable[[int], Any]:
        """What the tower makes of a chunk, from the kept state below `cut`."""
        tower, states = self.model.tower(name), self.states[name]
        if cut is not None:
            split, position = self.split, cut
        else:  # run as when it won: a search that was taken up rounds alike
            last = self.last.get(name)
            split = self._split(last, once=True) if last else None
            position = self.model.position(last) if last else states.highest()
        states.prepare(position)
        count = self.candidate.get(split.site, 0) if split else 0

        def made(number: int) -> Any:
            with self.workers.rounding():
                state, first = states.state(position, number), position
                if split:
                    state, first = split.feed(number, state, count), position + 1
                state = tower.part(state, first, 2 * tower.depth)
            return tower.finish(state)

        return made

    def _with_less(self, work: Callable[[], Result]) -> Result:
        """`work`, each time that memory runs out with half the images at once and half kept."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.split = None
            self.states.clear()
            self.features.clear()
            if self.at_once == 1:
                raise OutOfMemory(
                    f"out of memory: a search does not fit even with one image at a time, and "
                    f"{room(self.model.device)}; use fewer labels, a smaller backbone, or end "
                    "what else runs there"
                )
            self.at_once, self.memory = self.at_once // 2, self.memory // 2

    @torch.inference_mode()
    def _arrange(self) -> None:
        """Divide the images into chunks and the memory between what may be kept."""
        both = any(site.tower == "text" for site in self.sites)
        small = int(self.memory * SMALL_SHARE) if both else 0
        rooms = {"visual": self.memory - 2 * small, "text": small}
        starts = self._starts()
        self.states = {
            name: StateCache(self.model.tower(name), starts[name], rooms[name], self.workers)
            for name in starts
        }
        self.features = {name: FeatureCache(small) for name in self.states}
        self.expect(self.sites)

    def _starts(self) -> dict[str, list[Start]]:
        """How each tower's chunks begin: some images, or some prompts."""
        visual, device = self.model.tower("visual"), self.model.device
        first = visual.start(self.images[:1].to(device))
        if device.type == "cuda":
            most = CHUNK_BYTES_CUDA // (4 * size(first))
        else:
            most = CHUNK_TOKENS // first[0, ..., 0].numel()
        self.at_once = self.workers.share(len(self.images), max(1, min(most, self.at_once)))
        starts: dict[str, list[Start]] = {
            "visual": [
                partial(_start_images, visual, chunk, device)
                for chunk in self.images.split(self.at_once)
            ]
        }
        if self.model.has_text:
            parts = list(self.model.tower("text").start(self.labels.prompts).joined())
            self.order = torch.cat([part.order for part in parts])
            starts["text"] = [partial(_same, part) for part in parts]
        return starts


def _start_images(tower: Tower, images: Tensor, device: torch.device) -> Tensor:
    with torch.autocast(device.type, enabled=False):  # the sums of blocks stay float32
        return tower.start(images.to(device, non_blocking=True))


def _same(state: TextState) -> TextState:
    return state
