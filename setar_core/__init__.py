"""SeTAR for out-of-distribution detection: the public names, each loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers see
    from .adapter import Adapter as Adapter
    from .backbones import Backbone as Backbone
    from .backbones import BackboneError as BackboneError
    from .backbones import Features as Features
    from .backbones import Logits as Logits
    from .backbones import load_backbone as load_backbone
    from .data.calibration import CalibrationSet as CalibrationSet
    from .data.images import ImageError as ImageError
    from .data.images import find_images as find_images
    from .data.images import read_image as read_image
    from .detector import Detector as Detector
    from .labels import LabelSet as LabelSet
    from .lowrank import Spectrum as Spectrum
    from .lowrank import spectrum as spectrum
    from .metrics.separation import Metrics as Metrics
    from .metrics.separation import separation as separation
    from .metrics.separation import threshold_at_recall as threshold_at_recall
    from .recipe import Recipe as Recipe
    from .recipe import Site as Site
    from .scores import SCORES as SCORES
    from .scores import Score as Score
    from .scores import ScoreOptions as ScoreOptions
    from .search.greedy import greedy_search as greedy_search
    from .search.plan import SearchPlan as SearchPlan
    from .search.trial import Trial as Trial
    from .threshold import Threshold as Threshold
    from .verdict import Verdict as Verdict

_ROOMS = {
    "recipe": ("Recipe", "Site"),
    "adapter": ("Adapter",),
    "lowrank": ("Spectrum", "spectrum"),
    "labels": ("LabelSet",),
    "data.images": ("ImageError", "find_images", "read_image"),
    "metrics.separation": ("Metrics", "separation", "threshold_at_recall"),
    "backbones": ("Backbone", "BackboneError", "Features", "Logits", "load_backbone"),
    "scores": ("SCORES", "Score", "ScoreOptions"),
    "data.calibration": ("CalibrationSet",),
    "threshold": ("Threshold",),
    "verdict": ("Verdict",),
    "detector": ("Detector",),
    "search.plan": ("SearchPlan",),
    "search.trial": ("Trial",),
    "search.greedy": ("greedy_search",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
