"""What fine-tuning moves and minimises, and with which constants: `Plan`, and the papers' presets.

Two questions, any answer to each. The published constants are all here, and no file of this room
holds another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from ..data.strict import short
from ..labels import usual_top_k
from ..recipe import WEIGHTS, Site

MOVES = {
    "minor": "the components that a recipe drops",
    "lora": "a low-rank term beside chosen matrices",
    "context": "shared words in front of every label",
    "full": "whole blocks",
}
LOSSES = {
    "ce": "the loss of the right label",
    "locoop": "the loss of the right label, and how sure the model is of background patches",
    "npos": "the loss of the right label, and telling images from outliers made of them",
}
PRECISIONS = ("fp32", "tf32", "bf16")
WARM_UP = 1e-5  # the rate of a context's first epoch
MOST_WORDS = 64
LARGEST = 1e6  # of any constant


@dataclass(frozen=True)
class Plan:
    """The settings of a fine-tuning; the defaults are those of SeTAR+FT (arXiv:2406.12629).

    Attributes:
        moves: a name in MOVES.
        loss: a name in LOSSES.
        lambda_ood: the factor of the OOD patches' loss.
        top_k: a patch is OOD when so many labels score above its own; None takes 0.3 of the
            labels.
        weight: for lora: q, k, v, o, up or down of every block.
        rank: of lora's matrices.
        alpha: lora's term is multiplied by alpha / rank.
        context: how many vectors, or the words whose embeddings they begin as.
        blocks: for full: how many top blocks of the image tower, or blocks such as `visual.11`.
        epochs, batch_size: passes through the images, and images a step.
        drop_last: an epoch's last images are left out where they do not fill a batch.
        rate: the highest; it falls along a cosine, by step, or for a context by epoch after a first
            one at 1e-5.
        weight_decay: of every matrix that moves, and not of vectors of a block.
        momentum: of SGD.
        augment: random crops and flips, others in each epoch.
        crop: the smallest share of a picture's area that a crop keeps.
        jitter: brightness, contrast and saturation are multiplied by up to 1 - jitter to
            1 + jitter.
        seed: of the first values, the order, the crops and the outliers.
        precision: of the towers' products; losses are always float32.
        accumulate: parts in which a batch goes through the image tower, to spare memory.
        lambda_npos: the factor of the outliers' loss.
        queue: features kept of each class, of which outliers are made.
        neighbours: k of the distance to the k-th nearest.
        boundary: features of a class, the farthest, around which outliers are drawn.
        drawn: of each of these.
        kept: of those drawn of a class, the farthest.
        noise: the standard deviation of what is added.
    """

    moves: str = "minor"
    loss: str = "locoop"
    lambda_ood: float = 0.1
    top_k: int | None = None
    weight: str = "up"
    rank: int = 32
    alpha: float = 8.0
    context: int | str = 16
    blocks: int | tuple[str, ...] = 2
    epochs: int = 5
    batch_size: int = 100
    drop_last: bool = False
    rate: float = 0.01
    weight_decay: float = 5e-4
    momentum: float = 0.9
    augment: bool = True
    crop: float = 0.9
    jitter: float = 0.0
    seed: int = 0
    precision: str = "fp32"
    accumulate: int = 1
    lambda_npos: float = 0.1
    queue: int = 50
    neighbours: int = 10
    boundary: int = 10
    drawn: int = 100
    kept: int = 1
    noise: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.blocks, list):
            object.__setattr__(self, "blocks", tuple(self.blocks))
        block_weights = tuple(weight for weight in WEIGHTS if weight != "proj")
        for name, known in (
            ("moves", tuple(MOVES)),
            ("loss", tuple(LOSSES)),
            ("weight", block_weights),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                value = short(getattr(self, name))
                raise ValueError(f"{name} {value} is unknown; use {', '.join(known)}")
        for name in ("augment", "drop_last"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {short(getattr(self, name))}; give true or false")
        for name, least in (("seed", 0), *((n, 1) for n in COUNTS)):
            value = getattr(self, name)
            if name == "top_k" and value is None:
                continue
            if type(value) is not int or not least <= value < 2**31:
                raise ValueError(f"{name} is {short(value)}; give a whole number, at least {least}")
        for name, low, high in RANGES:
            value = getattr(self, name)
            if not _number(value) or not low <= value <= high:
                raise ValueError(
                    f"{name} is {short(value)}; give a number from {low:g} to {high:g}"
                )
            object.__setattr__(self, name, float(value))
        if not self.rate > 0 or not self.crop > 0:
            raise ValueError(f"rate is {self.rate:g} and crop {self.crop:g}; both are above 0")
        _check_context(self.context)
        _check_blocks(self.blocks)

    @property
    def by_epoch(self) -> bool:
        """Whether the rate changes by epoch, and not by step."""
        return self.moves == "context"

    @property
    def words(self) -> int:
        """How many context vectors there are."""
        return len(self.context.split(" ")) if isinstance(self.context, str) else self.context

    @property
    def title(self) -> str:
        """The paper's name for the pair, or the pair."""
        for preset in PRESETS.values():
            if (preset.moves, preset.loss) == (self.moves, self.loss):
                return preset.title
        return f"{self.moves} + {self.loss}"

    def rate_of(self, step: int, steps: int, epochs: int) -> float:
        """The rate of a step, counted from 0, of so many in so many epochs."""
        if not self.by_epoch:
            return self.rate / 2 * (1 + math.cos(math.pi * step / steps))
        epoch = step * epochs // steps
        return self.rate / 2 * (1 + math.cos(math.pi * (epoch - 1) / epochs)) if epoch else WARM_UP

    def page(self) -> dict[str, Any]:
        """The settings as JSON takes them."""
        blocks = self.blocks if isinstance(self.blocks, int) else list(self.blocks)
        return {**asdict(self), "blocks": blocks}

    @classmethod
    def from_page(cls, page: Mapping[str, Any]) -> Plan:
        """What `page` gave.

        Raises:
            ValueError: a setting that is unknown or out of its range.
        """
        known = {each.name for each in fields(cls)}
        if strange := set(page) - known:
            raise ValueError(f"a plan has no {short(min(strange))}; use {', '.join(sorted(known))}")
        return cls(**page)


COUNTS = (
    *("top_k", "rank", "epochs", "batch_size", "accumulate"),
    *("queue", "neighbours", "boundary", "drawn", "kept"),
)
RANGES = (
    ("lambda_ood", 0, LARGEST),
    ("alpha", 0, LARGEST),
    ("rate", 0, LARGEST),
    ("weight_decay", 0, 1),
    ("momentum", 0, 1 - 1e-6),
    ("crop", 0, 1),
    ("jitter", 0, 1),
    ("lambda_npos", 0, LARGEST),
    ("noise", 0, LARGEST),
)


class Preset(NamedTuple):
    """A paper's answer to both questions: `constants` are those of a Plan that differ from it."""

    title: str
    sentence: str
    source: str
    constants: Mapping[str, Any]

    @property
    def moves(self) -> str:
        return str(self.constants["moves"])

    @property
    def loss(self) -> str:
        return str(self.constants["loss"])


PRESETS: dict[str, Preset] = {
    "setar-ft": Preset(
        "SeTAR+FT",
        "The components that a recipe drops learn again, and all else stays.",
        "2406.12629",
        {"moves": "minor", "loss": "locoop"},
    ),
    "lora": Preset(
        "LoRA",
        "A small term beside W_up of every block learns, from nothing.",
        "2106.09685",
        {"moves": "lora", "loss": "locoop"},
    ),
    "coop": Preset(
        "CoOp",
        "Words in front of every label learn to tell the labels apart.",
        "2109.01134",
        {"moves": "context", "loss": "ce", "rate": 0.002, "epochs": 50, "batch_size": 32,
         "drop_last": True, "crop": 0.08},
    ),
    "locoop": Preset(
        "LoCoOp",
        "As CoOp, and the words learn to resemble no background.",
        "2306.01293",
        {"moves": "context", "loss": "locoop", "rate": 0.002, "epochs": 50, "batch_size": 32,
         "drop_last": True, "crop": 0.08, "lambda_ood": 0.25},
    ),
    "npos": Preset(
        "NPOS",
        "The top blocks learn, and to tell the pictures from outliers drawn around them.",
        "2303.02966",
        {"moves": "full", "loss": "npos", "crop": 0.08},
    ),
}  # fmt: skip


def preset_plan(name: str, backbone: str, labels: int, **changes: Any) -> Plan:
    """A preset for a backbone of this name and so many labels, with `changes` by name.

    Raises:
        ValueError: an unknown preset, or a setting that is unknown or out of its range.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {short(name)} is unknown; use {', '.join(PRESETS)}")
    preset, size = PRESETS[name], _size(backbone)
    constants = dict(preset.constants)
    if preset.moves in ("minor", "lora"):
        constants |= {"rank": RANKS[size], "batch_size": BATCHES[size]}
        if size == "swin":
            constants |= {"crop": 0.08, "jitter": 0.4}
        lambda_ood, top_k = locoop_constants(backbone, labels)
        constants |= {"lambda_ood": lambda_ood, "top_k": top_k}
    if name == "locoop" and labels == 1000:
        constants["top_k"] = 200
    return Plan.from_page({**Plan(**constants).page(), **changes})


def locoop_constants(backbone: str, labels: int) -> tuple[float, int | None]:
    """The authors' lambda and K for a backbone of this name and so many labels; no K where theirs
    were of other labels."""
    size = _size(backbone)
    return LOCOOP.get((size, labels), (LOCOOP[size, 1000][0], None))


RANKS = {"base": 32, "large": 64, "swin": 112}
BATCHES = {"base": 100, "large": 20, "swin": 50}
# lambda and K by size and labels: ImageNet has 1,000, VOC 20
LOCOOP: dict[tuple[str, int], tuple[float, int]] = {
    ("base", 1000): (0.1, 300),
    ("base", 20): (0.05, 4),
    ("large", 1000): (0.5, 300),
    ("large", 20): (0.3, 6),
    ("swin", 1000): (0.01, 700),
}


def resolve(plan: Plan, labels: int) -> Plan:
    """The plan for so many labels, with nothing left open.

    Raises:
        ValueError: a K that no patch can reach.
    """
    if plan.top_k is not None and plan.top_k >= labels and plan.loss == "locoop":
        raise ValueError(
            f"top_k is {plan.top_k} and there are {labels} labels, so no patch is OOD; use about "
            f"{usual_top_k(labels)}"
        )
    top_k = usual_top_k(labels) if plan.top_k is None else min(plan.top_k, labels)
    return replace(plan, top_k=top_k)


def _size(backbone: str) -> str:
    if backbone.startswith("timm:") and "swin" in backbone:
        return "swin"
    return "large" if "ViT-L" in backbone or "vit_large" in backbone else "base"


def _check_context(context: Any) -> None:
    if isinstance(context, str):
        words = context.split(" ")
        if not all(words) or len(words) > MOST_WORDS:
            raise ValueError(
                f"context {short(context)}: write 1 to {MOST_WORDS} words, one space between two"
            )
    elif type(context) is not int or not 1 <= context <= MOST_WORDS:
        raise ValueError(
            f"context is {short(context)}; give a number from 1 to {MOST_WORDS}, or words"
        )


def _check_blocks(blocks: Any) -> None:
    if type(blocks) is int and blocks >= 1:
        return
    if not isinstance(blocks, tuple) or not blocks or len(set(map(str, blocks))) < len(blocks):
        raise ValueError(f"blocks is {short(blocks)}; give a number, or names once each")
    for name in blocks:
        Site.parse(f"{name}.up")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
