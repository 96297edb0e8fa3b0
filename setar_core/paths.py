"""Where shipped things lie: beside the packages in a checkout, inside this one if installed."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
ASSETS = next(f for f in (_HERE / "assets", _HERE.parent / "assets") if f.is_dir())
BACKBONES, BENCHMARK, EXAMPLES = (ASSETS / name for name in ("backbones", "benchmark", "examples"))
LABELS, PROMPTS, PUBLISHED, RECIPES = (
    ASSETS / name for name in ("labels", "prompts", "published", "recipes")
)
