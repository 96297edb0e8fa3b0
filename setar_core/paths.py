"""Where shipped things lie: beside the packages in a checkout, inside this one if installed; and
where what can be made again is kept."""

import os
from pathlib import Path

_HERE = Path(__file__).resolve().parent
ASSETS = next(f for f in (_HERE / "assets", _HERE.parent / "assets") if f.is_dir())
BACKBONES, BENCHMARK, EXAMPLES = (ASSETS / name for name in ("backbones", "benchmark", "examples"))
LABELS, PAPERS, PROMPTS, PUBLISHED, RECIPES, WORDS = (
    ASSETS / name for name in ("labels", "papers", "prompts", "published", "recipes", "words")
)


def cache() -> Path:
    """The folder of `SETAR_CACHE`, or one of ours where the system keeps what may be lost."""
    if given := os.environ.get("SETAR_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "setar"
