"""SeTAR for out-of-distribution detection: the public names, each loaded when first used."""

from importlib import import_module

_ROOMS = {
    "recipe": ("Recipe", "Site"),
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
