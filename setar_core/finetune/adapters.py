"""What moves, as tensors to train and as matrices in a network of their own: `Trained`.

The loaded backbone stays as it is. The copy's modules are its own; what moves in them is an
expression of the tensors, made anew in each step, so that the towers' own code has gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..adapter import CONTEXT, Adapter
from ..backbones.base import Backbone
from ..backbones.text import TextTower
from ..recipe import Recipe, Site
from .pictures import generator
from .plan import Plan

STD = 0.02  # of a context's first values


class Trained:
    """A copy of a backbone with a recipe, in which some tensors move.

    Attributes:
        backbone: the copy; `load` changes it, and nothing else does.
        first: the first values, by name as in an Adapter.
        scale: of `B A`.
        lowest: by tower that moves, the position below which nothing does.
    """

    def __init__(self, backbone: Backbone, plan: Plan, recipe: Recipe | None) -> None:
        """Raises ValueError for a plan that does not fit the backbone."""
        backbone.check_blocks()
        self.plan = plan
        self.recipe = recipe or None
        self.source = backbone.original
        base = self.source.with_recipe(recipe or Recipe({}))
        self.backbone = base.with_weights({})
        self.scale = plan.alpha / plan.rank if plan.moves == "lora" else 1.0
        self.first: dict[str, Tensor] = {}
        self.lowest: dict[str, int] = {}
        self._base: dict[Site, Tensor] = {}  # below the terms
        self._names: dict[str, tuple[nn.Module, str]] = {}  # of parameters that move whole
        {"minor": self._minor, "lora": self._lora, "full": self._full}.get(
            plan.moves, self._context
        )()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Make the copy's weights what these tensors say, with gradients."""
        whole: dict[tuple[int, str], Tensor] = {}
        for site, base in self._base.items():
            module, name, rows = self.backbone.slot(site)
            matrix = torch.addmm(base, tensors[f"{site}/B"], tensors[f"{site}/A"], alpha=self.scale)
            if rows != slice(None):
                before = whole.get((id(module), name), getattr(module, name).detach())
                matrix = torch.slice_scatter(before, matrix, 0, rows.start, rows.stop)
            whole[id(module), name] = matrix
            setattr(module, name, matrix)
        for name, (module, last) in self._names.items():
            setattr(module, last, tensors[name])

    def adapter(
        self,
        tensors: Mapping[str, Tensor],
        losses: tuple[float, ...],
        steps: int,
        labels: tuple[str, ...],
    ) -> Adapter:
        """What these tensors are on top of the recipe."""
        return Adapter(
            self.plan.moves,
            {name: tensors[name].detach().cpu().float() for name in self.first},
            self.source.name,
            self.source.fingerprint,
            self.recipe,
            self.scale,
            self.plan.page(),
            losses,
            steps,
            labels,
        )

    @torch.no_grad()
    def norms(self, tensors: Mapping[str, Tensor]) -> dict[str, float]:
        """By site, or parameter of a block, or "context": the Frobenius norm of what changed, by
        that of what it was."""
        if self.plan.moves in ("minor", "lora"):
            found = {}
            for site, base in self._base.items():
                a, b = (f"{site}/{part}" for part in "AB")
                before = torch.addmm(base, self.first[b], self.first[a], alpha=self.scale)
                change = tensors[b] @ tensors[a] - self.first[b] @ self.first[a]
                found[str(site)] = self.scale * _share(change, before)
            return found
        return {n: _share(tensors[n] - x, x) for n, x in self.first.items()}

    def _minor(self) -> None:
        recipe = self.recipe
        if recipe is None:
            raise ValueError(
                "what a recipe drops is to move, and there is no recipe; give one, or take lora"
            )
        if recipe.prune != "minor":
            raise ValueError(
                f"the recipe drops {recipe.prune} components; minor moves need one that drops minor"
            )
        for site, ratio in recipe.ratios.items():
            parts = self.source.spectrum(site)
            if kept := slice(parts.kept(ratio), None) if parts.dropped(ratio) else None:
                root = parts.s[kept].sqrt()
                self._term(site, root[:, None] * parts.vh[kept], parts.u[:, kept] * root)
        if not self.first:
            raise ValueError("the recipe drops no component, so nothing would move; give another")

    def _lora(self) -> None:
        plan = self.plan
        for site in self.backbone.sites(plan.weight):
            out, width = self.backbone.weight(site).shape
            if plan.rank > min(out, width):
                raise ValueError(
                    f"rank is {plan.rank}, and {site} is {out} x {width}; use at most "
                    f"{min(out, width)}"
                )
            bound = 1 / math.sqrt(width)  # Kaiming's, with a = sqrt(5), as LoRA's authors have it
            chance = generator(plan.seed, "lora", str(site))
            a = (2 * torch.rand(plan.rank, width, generator=chance) - 1) * bound
            self._term(site, a, torch.zeros(out, plan.rank))

    def _term(self, site: Site, a: Tensor, b: Tensor) -> None:
        device = self.backbone.device
        self._base[site] = self.backbone.weight(site).clone()
        self.first |= {f"{site}/A": a.to(device).clone(), f"{site}/B": b.to(device).clone()}
        module, name, _ = self.backbone.slot(site)
        _free(module, name)
        self._moves(site.tower, self.backbone.position(site))

    def _full(self) -> None:
        blocks = self.plan.blocks
        if isinstance(blocks, int):
            sites = list(self.backbone.sites("up", ["visual"]))[:blocks]
        else:
            sites = [Site.parse(f"{name}.up") for name in blocks]
        for site in sites:
            block = self.backbone.block(site)
            for name, parameter in list(block.named_parameters()):
                inside, _, last = name.rpartition(".")
                module = block.get_submodule(inside)
                place = f"{str(site).removesuffix('.up')}/{name}"
                self.first[place] = parameter.detach().clone()
                self._names[place] = (module, last)
                _free(module, last)
            self._moves(site.tower, self.backbone.position(site._replace(weight="q")))

    def _context(self) -> None:
        plan, backbone = self.plan, self.backbone
        if not backbone.has_text:
            raise ValueError(
                f"{backbone.name} has no text tower, so it reads no context; use lora or minor"
            )
        tower = backbone.tower("text")
        assert isinstance(tower, TextTower)
        if isinstance(plan.context, str):
            values = tower.embedded(plan.context.split(" "))
        else:
            width = tower.text.positional_embedding.shape[1]
            values = STD * torch.randn(plan.words, width, generator=generator(plan.seed, "context"))
        self.first[CONTEXT] = values.to(backbone.device)
        self.lowest["text"] = 0
        backbone.check_context(self.adapter(self.first, (), 0, ()))

    def _moves(self, tower: str, position: int) -> None:
        self.lowest[tower] = min(position, self.lowest.get(tower, position))


def started(first: Mapping[str, Tensor], start: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The first values, those of `start` where it has them.

    Raises:
        ValueError: a name or a shape that is not of these, or a number that is not finite.
    """
    found = dict(first)
    for name, tensor in (start or {}).items():
        if name not in first:
            raise ValueError(
                f"start has {name[:80]!r}, which does not move; it may have "
                f"{', '.join(list(first)[:6])} ..."
            )
        if tensor.shape != first[name].shape or not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"start: {name} is {tuple(tensor.shape)}; give finite numbers, "
                f"{tuple(first[name].shape)}"
            )
        found[name] = tensor.to(first[name])
    return found


def _free(module: nn.Module, name: str) -> None:
    """Make a parameter a plain attribute, which may be any expression."""
    if name in module._parameters:
        tensor = module._parameters.pop(name)
        assert tensor is not None
        setattr(module, name, tensor.detach())


def _share(change: Tensor, before: Tensor) -> float:
    whole = float(before.norm())
    return float(change.norm()) / whole if whole else 0.0
