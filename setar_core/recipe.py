"""Which matrix loses which share of its singular components: `Site`, `Recipe` and its JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .data import strict
from .data.strict import short
from .paths import RECIPES

TOWERS = ("visual", "text")
WEIGHTS = ("q", "k", "v", "o", "up", "down", "proj")
PRUNES = {
    "minor": "the smallest parts (SeTAR)",
    "principal": "the largest parts",
    "random": "random parts",
}
AUTHORS_PRUNES = {"small": "minor", "large": "principal"}
AUTHORS_BACKBONES = {
    "openai/clip-vit-base-patch16": "ViT-B-16/openai",
    "openai/clip-vit-large-patch14": "ViT-L-14/openai",
    "microsoft/swinv2-base-patch4-window16-256": "timm:swinv2_base_window16_256.ms_in1k",
}
MAX_NAME = 200  # characters of a backbone's name
MAX_BYTES = 1_000_000  # a recipe is a page of text; anything larger is not one

ORIGINAL = "original"  # the weights as they are, among recipes

Block = int | tuple[int, int] | None


class Site(NamedTuple):
    """One weight matrix of a network.

    `block` counts from 0 at the input; a SwinV2 block is `(stage, block)`; a tower's projection
    (`weight="proj"`) belongs to no block and has `None`.
    """

    tower: str
    block: Block
    weight: str

    def __str__(self) -> str:
        block = "-".join(map(str, self.block)) if isinstance(self.block, tuple) else self.block
        parts = (self.tower, self.weight) if block is None else (self.tower, block, self.weight)
        return ".".join(map(str, parts))

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `visual.11.up`, `visual.2-17.up` or `visual.proj`.

        Raises:
            ValueError: the text names no site.
        """
        match text.split("."):
            case [tower, weight]:
                return _site(tower, None, weight, text)
            case [tower, number, weight]:
                parts = number.split("-")
                if len(parts) <= 2 and all(map(_is_number, parts)):
                    first, *rest = (int(p) for p in parts)
                    return _site(tower, (first, *rest) if rest else first, weight, text)
        raise ValueError(
            f"{text[:80]!r} names no site; write TOWER.BLOCK.WEIGHT, e.g. 'visual.11.up', "
            "'visual.2-17.up' for SwinV2, or 'visual.proj'"
        )


def dropped(rank: int, ratio: float) -> int:
    """How many of `rank` components a ratio drops: `round(rank * ratio)`."""
    return round(rank * ratio)


@dataclass(frozen=True)
class Recipe:
    """Ratios in [0, 1) by site, and which components they drop (arXiv:2406.12629).

    Attributes:
        ratios: share of a matrix's singular components to drop; a site that is absent keeps all.
        backbone: the name of the backbone it was made for; `None` fits any with the same sites.
        prune: `minor` drops the smallest components, `principal` the largest, `random` a set
            drawn with `seed`.
        notes: how it was found (calibration, lambda, K, seed, loss, source), free of rules.

    Raises:
        ValueError: a ratio that is not a finite number in [0, 1), an unknown `prune`.
    """

    ratios: Mapping[Site, float]
    backbone: str | None = None
    prune: str = "minor"
    seed: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.prune not in tuple(PRUNES):  # which a file may have as a list
            raise ValueError(f"prune is {short(self.prune)}; choose one of {', '.join(PRUNES)}")
        whole = isinstance(self.seed, int) and not isinstance(self.seed, bool)
        if not whole or not 0 <= self.seed < 2**63:
            raise ValueError(
                f"seed is {short(self.seed)}; give a whole number of at least 0 and below 2**63"
            )
        checked = {site: _ratio(value, site) for site, value in self.ratios.items()}
        object.__setattr__(self, "ratios", checked)
        object.__setattr__(self, "notes", dict(self.notes))

    def __bool__(self) -> bool:
        return any(ratio > 0 for ratio in self.ratios.values())

    def __hash__(self) -> int:
        return hash((self.backbone, self.fingerprint))  # equal is what is equal as a whole

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what is dropped; `ORIGINAL` drops nothing."""
        if not self:
            return ORIGINAL
        kept = sorted((str(site), ratio) for site, ratio in self.ratios.items() if ratio > 0)
        seed = self.seed if self.prune == "random" else 0
        text = json.dumps([self.prune, seed, kept], allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_ratio(self, site: Site, ratio: float) -> Recipe:
        """The same recipe with another ratio at one site."""
        ratios = {**self.ratios, site: ratio}
        return Recipe(ratios, self.backbone, self.prune, self.seed, self.notes)

    def scaled(self, strength: float) -> Recipe:
        """The same recipe with every ratio times `strength`: 0 drops nothing, 1 what it drops now.

        Raises:
            ValueError: a strength outside [0, 1].
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"the strength is {strength}; give a number from 0 to 1")
        ratios = {site: ratio * strength for site, ratio in self.ratios.items()}
        notes = self.notes if strength == 1 else {**self.notes, "strength": strength}
        return Recipe(ratios, self.backbone, self.prune, self.seed, notes)

    def dumps(self) -> str:
        """Our JSON: `{"backbone", "prune", "ratios": {"visual.11.up": 0.15}, "notes"}`."""
        page = {
            "backbone": self.backbone,
            "prune": self.prune,
            **({"seed": self.seed} if self.prune == "random" else {}),
            "ratios": {str(site): ratio for site, ratio in self.ratios.items()},
            "notes": dict(self.notes),
        }
        return json.dumps(page, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.dumps(), encoding="utf-8")

    def authors(self) -> list[list[Any]]:
        """The authors' list form, `[["visual", "W_up", 11, 0.15], ...]`."""
        return [
            [
                site.tower,
                "W_p" if site.weight == "proj" else f"W_{site.weight}",
                list(site.block) if isinstance(site.block, tuple) else site.block,
                ratio,
            ]
            for site, ratio in self.ratios.items()
        ]

    @classmethod
    def loads(cls, text: str, prune: str = "minor") -> Recipe:
        """Read our JSON, the authors' `config_best.json`, or their list alone, which does not say
        what is dropped (`prune`).

        Raises:
            ValueError: not JSON, or not a recipe; says which entry and why.
        """
        if len(text) > MAX_BYTES:
            raise ValueError(f"the recipe has {len(text)} characters; at most {MAX_BYTES} are read")
        try:
            page = strict.loads(text, _from_pairs)
        except ValueError as error:
            raise ValueError(
                f"the recipe cannot be read: {error}; save it again from here or by hand"
            ) from None
        if isinstance(page, list):
            return cls(_from_authors(page), prune=prune)
        if isinstance(page, dict) and "lora_svd_init" in page:
            return _from_config(page)
        if not isinstance(page, dict) or not isinstance(page.get("ratios"), dict):
            raise ValueError(
                "this JSON is no recipe: it needs an object with 'ratios', or the authors' list "
                '[["visual", "W_up", 11, 0.15], ...]'
            )
        backbone, notes = page.get("backbone"), page.get("notes") or {}
        named = backbone is None or (isinstance(backbone, str) and len(backbone) <= MAX_NAME)
        if not named:
            raise ValueError(f"backbone is {short(backbone)}; give its name as text, or null")
        if not isinstance(notes, dict):
            raise ValueError(f"notes is {short(notes)}; give an object")
        ratios: dict[Site, Any] = {}
        for name, ratio in page["ratios"].items():
            site = Site.parse(name)
            _once(site, ratios)  # "visual.1.up" and "visual.01.up"
            ratios[site] = ratio
        return cls(
            ratios,
            backbone=backbone,
            prune=page.get("prune", prune),
            seed=page.get("seed", 0),
            notes=notes,
        )

    @classmethod
    def load(cls, path: str | Path, prune: str = "minor") -> Recipe:
        """Read a shipped recipe by its name, or a file; as `loads`, the message names the file."""
        path = shipped_recipes().get(str(path), Path(path))
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(
                    f"it has {path.stat().st_size} bytes; at most {MAX_BYTES} are read"
                )
            return cls.loads(path.read_text(encoding="utf-8"), prune)
        except OSError as error:
            raise ValueError(f"recipe {path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise ValueError(f"recipe {path}: is not UTF-8 text; give a JSON file") from None
        except ValueError as error:
            raise ValueError(f"recipe {path.name}: {error}") from None


def shipped_recipes() -> dict[str, Path]:
    """The recipes in `assets/recipes`, name to file, in alphabetical order."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.json"))}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


def _site(tower: str, block: Any, weight: str, text: Any) -> Site:
    """A checked site; `text` is what the visitor wrote, for the message."""
    text, told = short(text), short(block)
    whole = isinstance(block, int) and not isinstance(block, bool) and block >= 0
    pair = isinstance(block, tuple) and len(block) == 2 and all(type(b) is int for b in block)
    if tower not in TOWERS:
        raise ValueError(f"{text}: tower {short(tower)} is unknown; use 'visual' or 'text'")
    if weight not in WEIGHTS:
        raise ValueError(f"{text}: weight {short(weight)} is unknown; use {', '.join(WEIGHTS)}")
    if weight == "proj" and block is not None:
        raise ValueError(f"{text}: a projection belongs to no block; write '{tower}.proj'")
    if weight != "proj" and not (whole or (pair and min(block) >= 0)):
        raise ValueError(f"{text}: block {told} must be a whole number, or two for SwinV2")
    return Site(tower, block, weight)


def _from_config(page: dict[str, Any]) -> Recipe:
    """What the authors' configuration of a run drops; `clip_ckpt` are weights after it."""
    rows, kind = page.get("lora_settings"), str(page.get("lora_svd_init_type"))
    reason = None
    if page.get("clip_ckpt") or page.get("locoop_ckpt"):
        reason = "its network is a checkpoint of its own, which is not read"
    elif page["lora_svd_init"] is not True:
        reason = "its lora_svd_init says that nothing is dropped"
    elif not isinstance(rows, list) or not rows:
        reason = "it has no lora_settings, as the configuration of a search; take config_best.json"
    elif kind == "random":
        reason = "which random components it dropped is told by no file; search again with a seed"
    elif kind not in AUTHORS_PRUNES:
        reason = f"its lora_svd_init_type is {kind[:40]!r}, not small or large"
    if reason or not isinstance(rows, list):
        raise ValueError(f"this configuration of the authors' code holds no recipe: {reason}")
    backbone = page.get("model_name")
    return Recipe(
        _from_authors(rows),
        AUTHORS_BACKBONES.get(backbone) if isinstance(backbone, str) else None,
        AUTHORS_PRUNES[kind],
        notes={"source": "a configuration of the authors' code", "model_name": backbone},
    )


def _from_authors(rows: list[Any]) -> dict[Site, float]:
    ratios: dict[Site, float] = {}
    if rows and isinstance(rows[0], dict) and "locoop_loss" in rows[0]:
        raise ValueError("this is the trace of a search; replay it, or give its config_best.json")
    for row in rows:
        if not isinstance(row, list) or len(row) != 4 or not isinstance(row[1], str):
            raise ValueError(f'{short(row)} is no entry; write ["visual", "W_up", 11, 0.15]')
        tower, weight, layer, ratio = row
        weight = {"W_p": "proj"}.get(weight, weight.removeprefix("W_"))
        block = tuple(layer) if isinstance(layer, list) else layer
        site = _site(tower, block, weight, row)
        _once(site, ratios)
        ratios[site] = ratio
    return ratios


def _from_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two entries with one name none can be meant."""
    page: dict[str, Any] = {}
    for name, value in pairs:
        _once(name, page)
        page[name] = value
    return page


def _once(name: object, known: Mapping[Any, Any]) -> None:
    if name in known:
        named = short(name) if isinstance(name, str) else name
        raise ValueError(f"{named} is there twice; keep one of the two entries")


def _ratio(value: Any, site: Site) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < 1:  # NaN is neither
        raise ValueError(
            f"ratio at {site} is {short(value)}; give a number of at least 0 and below 1"
        )
    return float(value)
