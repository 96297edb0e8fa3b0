"""What every backbone is: towers, features, logits, and a recipe on top.

A loaded backbone never changes. `with_recipe` gives another one that shares every untouched
tensor; nothing here keeps state between calls, so one backbone serves many threads.
"""

from __future__ import annotations

import copy
import hashlib
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..adapter import Adapter
from ..data.strict import short
from ..labels import LabelSet
from ..lowrank import Spectrum, low_rank, spectrum
from ..memory import images_at_once, smaller_if_full
from ..parallel.workers import rounding
from ..recipe import ORIGINAL, Recipe, Site
from .linear.thin import make_whole
from .logits import Classifier as Classifier
from .logits import Logits as Logits
from .progress import Progress, finished
from .tower import BLOCK_WEIGHTS, Features, Slot, Tower

FEW = 500  # labels that are read within a second or so
Preprocess = Callable[[Any], Tensor]  # a PIL image to `(3, H, W)`


class BackboneError(ValueError):
    """A backbone that cannot be had, with the reason and what to use instead."""


class Backbone(ABC):
    """A network with an image tower, and for CLIP a text tower; see the module's rule.

    Attributes:
        name: as `load_backbone` takes it.
        towers: "visual", and "text" where there is one; none where it is no stack of blocks.
        preprocess: a PIL image to `(3, H, W)`, float32.
        scale: the factor between cosines and logits; 1 for classifiers.
        class_names: the head's classes by index, where they are known; None for CLIP.
        recipe: what was dropped from the original weights; None for those.
        adapter: what was trained on top; None for nothing.
        vocabulary: the words the text tower was trained on, where it knows only few.
        concepts: the names of what they are words for, in order; empty where they are not known.
        has_patches: whether a patch has features of its own, without what lies around it.
    """

    has_patches = True

    def __init__(self, name: str, model: nn.Module, preprocess: Preprocess) -> None:
        self.name = name
        self.model = model.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.scale = 1.0
        self.class_names: tuple[str, ...] | None = None
        self.vocabulary: frozenset[str] | None = None
        self.concepts: tuple[str, ...] = ()
        self.recipe: Recipe | None = None
        self.adapter: Adapter | None = None
        self._fingerprint = ""
        self._original = self
        self._spectra: dict[Site, Spectrum] = {}
        self.towers = self._cut(self.model)

    @abstractmethod
    def _cut(self, model: nn.Module) -> dict[str, Tower]:
        """The towers of `model`."""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def fingerprint(self) -> str:
        """Sixteen characters that change with the original weights, and with no recipe."""
        original = self._original
        if not original._fingerprint:
            text = hashlib.sha256()
            for name, tensor in sorted(original.model.state_dict().items()):
                text.update(name.encode())
                text.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
            original._fingerprint = text.hexdigest()[:16]
        return original._fingerprint

    @property
    def original(self) -> Backbone:
        """The same network without recipe and adapter."""
        return self._original

    @property
    def variant(self) -> str:
        """The fingerprints of its recipe and its adapter; `ORIGINAL` without both."""
        recipe = self.recipe.fingerprint if self.recipe else ORIGINAL
        return f"{recipe}+{self.adapter.fingerprint}" if self.adapter else recipe

    @property
    def has_text(self) -> bool:
        return "text" in self.towers

    @property
    def has_layers(self) -> bool:
        """Whether its blocks have a token that stands for the whole image."""
        return "visual" in self.towers and self.towers["visual"].pools

    def check_blocks(self) -> None:
        """Raises ValueError for a network that recipes, spectra and training cannot change."""
        if not self.towers:
            raise ValueError(
                f"{self.name} has no blocks of attention and MLP, whose matrices recipes, spectra, "
                "the search and fine-tuning are about; use a CLIP, a plain ViT or a SwinV2"
            )

    def tower(self, name: str) -> Tower:
        self.check_blocks()
        if name not in self.towers:
            raise ValueError(f"{self.name} has no {name} tower; it has {', '.join(self.towers)}")
        return self.towers[name]

    def sites(
        self, weight: str = "up", towers: Iterable[str] = ("visual", "text")
    ) -> Iterator[Site]:
        """Every block's `weight`, tower after tower, from the top block down.

        Raises:
            ValueError: this backbone has no blocks.
        """
        self.check_blocks()
        for name in towers:
            if name in self.towers:
                tower = self.towers[name]
                ids = [tower.block_id(i) for i in reversed(range(tower.depth))]
                yield from (Site(name, block, weight) for block in ids)

    def slot(self, site: Site) -> Slot:
        """Where the site's matrix lives.

        Raises:
            ValueError: this backbone has no such site.
        """
        self.check_blocks()
        tower = self.towers.get(site.tower)
        if tower is None:
            raise ValueError(
                f"{site}: {self.name} has no {site.tower} tower; leave the site out of the recipe"
            )
        known = tower.sites()
        if (site.block, site.weight) not in known:
            ids = f"{tower.block_id(0)} to {tower.block_id(tower.depth - 1)}"
            raise ValueError(
                f"{site}: the {site.tower} tower of {self.name} has blocks {ids} with weights "
                f"{', '.join(BLOCK_WEIGHTS)}, and proj; use a recipe made for it"
            )
        return tower.slot(known[site.block, site.weight], site.weight)

    def position(self, site: Site) -> int:
        """The highest position, as `Tower.part` counts them, that does not depend on its matrix."""
        tower = self.tower(site.tower)
        block = tower.sites()[site.block, site.weight]
        return 2 * tower.depth if block is None else 2 * block + (site.weight in ("up", "down"))

    def weight(self, site: Site) -> Tensor:
        """The site's matrix `(out, in)`; q, k and v apart even where a library fuses them."""
        return self.slot(site).matrix

    def spectrum(self, site: Site) -> Spectrum:
        """The decomposition of the site's original matrix; computed once."""
        if site not in self._spectra:
            self._spectra[site] = spectrum(self._original.weight(site))
        return self._spectra[site]

    def dropped_from(self, site: Site, ratio: float, prune: str = "minor", seed: int = 0) -> Tensor:
        """The site's original matrix without what the ratio drops, `(out, in)`."""
        seed = (seed + zlib.crc32(str(site).encode())) % 2**63  # another random set at each site
        matrix = self._original.weight(site)
        try:
            return low_rank(matrix, self.spectrum(site), ratio, prune, seed)
        except ValueError as error:
            raise ValueError(f"{site}: {error}") from None

    def with_recipe(self, recipe: Recipe) -> Backbone:
        """A backbone of the original weights with this recipe; it shares every untouched tensor.

        Raises:
            ValueError: the recipe is for another backbone, names a site that is not here, or
                drops a whole matrix.
        """
        if recipe.backbone is not None and _family(recipe.backbone) != _family(self.name):
            raise ValueError(
                f"the recipe is for {short(recipe.backbone)}, this backbone is {self.name!r}; "
                "load that one, or use a recipe made for this one"
            )
        for site in recipe.ratios:
            self.slot(site)
        changed = {
            site: self.dropped_from(site, ratio, recipe.prune, recipe.seed)
            for site, ratio in recipe.ratios.items()
            if self.spectrum(site).dropped(ratio)
        }
        other = self._original.with_weights(changed)
        other.recipe = recipe if recipe else None
        return other

    def altered(self, change: Recipe | Adapter | None) -> Backbone:
        """With a recipe or an adapter; None is the network without either."""
        if change is None:
            return self._original
        return (
            self.with_adapter(change) if isinstance(change, Adapter) else self.with_recipe(change)
        )

    def with_adapter(self, adapter: Adapter) -> Backbone:
        """A backbone of the original weights with the adapter's recipe and the adapter; it shares
        every untouched tensor.

        Raises:
            ValueError: the adapter is for other weights, or does not fit this network.
        """
        adapter.check_weights(self.name, self.fingerprint)
        base = self.with_recipe(adapter.recipe or Recipe({}))
        other = base.with_weights(adapter.matrices(base.weight))
        adapter.put_into(other.block)
        other.check_context(adapter)
        other.recipe, other.adapter = adapter.recipe, adapter
        return other

    def check_context(self, adapter: Adapter) -> None:
        """Raises ValueError for a context that the text tower cannot read."""
        if adapter.context is not None:
            raise ValueError(f"{self.name} has no text tower to read a context; use a CLIP")

    def block(self, site: Site) -> nn.Module:
        """The block of a site."""
        self.slot(site)
        tower = self.tower(site.tower)
        block: nn.Module = tower.blocks[tower.sites()[site.block, site.weight]]
        return block

    def with_weights(self, matrices: Mapping[Site, Tensor]) -> Backbone:
        """A backbone with other matrices at some sites, sharing all other tensors; every layer of
        it is whole, see `thin`."""
        other = copy.copy(self)
        other._fingerprint = ""
        shared = {id(t): t for t in (*self.model.parameters(), *self.model.buffers())}
        other.model = copy.deepcopy(self.model, shared)
        make_whole(other.model)
        other.towers = other._cut(other.model)
        fresh: set[tuple[int, str]] = set()
        for site, matrix in matrices.items():
            module, name, rows = other.slot(site)
            if (id(module), name) not in fresh:  # the first change of a parameter copies it
                fresh.add((id(module), name))
                mine = getattr(module, name).detach().clone()
                setattr(module, name, nn.Parameter(mine, requires_grad=False))
            getattr(module, name).data[rows] = matrix
        return other

    @torch.inference_mode()
    def features(self, images: Tensor, layers: bool = False, parts: bool = False) -> Features:
        """Global and local features of `images (B, 3, H, W)` in one pass, if memory allows.

        Raises:
            ValueError: `layers` of a network whose blocks have no pooled token.
        """
        device = self.device

        def read(piece: slice) -> Features:
            with rounding(device):
                return self.run(images[piece].to(device, non_blocking=True), layers, parts)

        pieces = smaller_if_full(read, len(images), len(images), device)
        return Features.join([features for _, features in pieces])

    def run(self, pixels: Tensor, layers: bool = False, parts: bool = False) -> Features:
        """As `features`, of images on its device, all at once."""
        tower = self.towers["visual"]
        state = tower.start(pixels)
        features: Features = (
            tower.run_with(state, layers, parts) if layers or parts else tower.run(state)
        )
        return features

    @abstractmethod
    def reading(self, labels: LabelSet) -> Generator[int, None, Classifier]:
        """The classifier, some labels at a time: yields how many have been read."""

    def classifier(self, labels: LabelSet, progress: Progress | None = None) -> Classifier:
        """One row a label; `progress` is told of every `FEW` labels."""
        total = len(labels.prompts)
        return finished(
            self.reading(labels), total, FEW, progress, f"reading labels: {{}} of {total}"
        )

    @torch.inference_mode()
    def logits(self, features: Features, classifier: Classifier, patches: bool = True) -> Logits:
        """Scaled similarities of whole images, and of their `patches`, to every label."""
        local = self.similar(features.local, classifier) if patches else None
        whole = self.similar(features.whole, classifier)
        return Logits(whole, local, features.grid, self.scale)

    def similar(self, features: Tensor, classifier: Classifier) -> Tensor:
        """Scaled similarities of features `(..., D)`, as the head takes them, `(..., C)`."""
        return nn.functional.linear(features * self.scale, classifier.weight, classifier.bias)

    def support(self, features: Features, logits: Logits, classifier: Classifier) -> Tensor:
        """What each patch adds to the logit of its image's best label, beyond what it adds to the
        mean label's, `(B, P)`; of features with `parts`."""
        assert features.parts is not None
        rows = classifier.weight[logits.whole.argmax(dim=-1)] - classifier.weight.mean(dim=0)
        return torch.einsum("bpd,bd->bp", features.parts, rows) * self.scale

    def placed(self, raw: Tensor) -> Tensor:
        """Features before normalisation as the head takes them, `(..., D)`."""
        return raw

    def logits_in_pieces(
        self, features: Features, classifier: Classifier, patches: bool = True
    ) -> Iterator[tuple[slice, Logits]]:
        """Logits of a few images at a time, so that those of their patches fit in memory."""
        whole = features.whole
        each = features.local.shape[1] if patches else 0
        step = images_at_once(each, len(classifier.weight), whole.is_cuda)

        def some(piece: slice) -> Logits:
            return self.logits(features.some(piece), classifier, patches)

        yield from smaller_if_full(some, len(whole), step, whole.device)

    def save(self, folder: Path) -> None:
        """Its weights, with recipe and adapter, and its configuration, as its library writes them:
        `local-dir:FOLDER` is then this network without any of ours.

        Raises:
            ValueError: it was changed in what no weight holds, or no library writes its kind.
            OSError: the disk is full, or gone.
        """
        raise ValueError(f"no library writes networks like {self.name}; keep the recipe's file")

    def doubts(self, labels: LabelSet) -> tuple[str, ...]:
        """Sentences about labels that it reads otherwise than they are written; for a head none."""
        return ()

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the text tower was never trained on; none for large models."""
        if self.vocabulary is None:
            return ()
        words = re.findall(r"[^\W_]+", text.lower())
        return tuple(dict.fromkeys(word for word in words if word not in self.vocabulary))


def _family(name: str) -> str:
    """A name without what does not change the weights: quick-GELU, a folder's parents."""
    if "local-dir:" in name:
        prefix, _, path = name.partition("local-dir:")
        return f"{prefix}local-dir:{Path(path).name}"
    return name.replace("-quickgelu", "")
