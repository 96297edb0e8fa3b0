"""What the SeTAR authors published, made small enough to ship: facts, binned scores, traces.

python -m assets.build.published PATH/TO/published --out assets/published

Nothing is changed but the container: scores of single images become counts in bins, and the
numbers of a trace keep seven digits, those of a float32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from setar_core.paths import PUBLISHED
from setar_core.published import BACKBONES
from setar_core.recipe import Recipe
from setar_core.search.trace import replay

SOURCE = {
    "repository": "https://github.com/X1AOX1A/SeTAR",
    "commit": "1564daa",
    "licence": "MIT, assets/recipes/LICENSE-SeTAR.txt",
    "paper": "arXiv:2406.12629",
}
EVEN = 256  # bins that hold the same share of all sets together
ID_EVEN = 256  # and of the ID set alone: precision is decided where few others are left
NEAR_CUT = 128  # and finer ones where the ID recall is 94 to 96 %: there the FPR is read
ORDERS = {"visual_text": "visual_text", "visual_only_swin": "visual_only"}


def edges(scores: dict[str, np.ndarray], id_set: str) -> np.ndarray:
    """Edges of non-uniform bins over all sets of one run, each set of the same weight."""
    pooled = np.concatenate(list(scores.values()))
    weight = np.concatenate([np.full(len(part), 1 / len(part)) for part in scores.values()])
    order = np.argsort(pooled)
    share = np.cumsum(weight[order]) / weight.sum()
    inner = np.concatenate(
        [
            np.interp(np.linspace(0, 1, EVEN + 1), share, pooled[order]),
            np.quantile(scores[id_set], np.linspace(0, 1, ID_EVEN + 1)),
            np.quantile(scores[id_set], np.linspace(0.04, 0.06, NEAR_CUT + 1)),
        ]
    )
    rounded = np.unique([_short(float(edge)) for edge in inner])
    low, high = pooled.min(), pooled.max()
    within = rounded[(rounded > low) & (rounded < high)]
    # A millionth more room on both sides, so that rounding leaves no score outside.
    return np.array([_short(low - 1e-6 * abs(low)), *within, _short(high + 1e-6 * abs(high))])


def histograms(run: dict[str, Any], scores: dict[str, np.ndarray]) -> str:
    """A run's scores in bins, as JSON with one set a line."""
    edge_lines, count_lines = [], []
    for scorer in run["metrics"]:
        mine = {
            name.partition("/")[0]: values.astype(float)
            for name, values in scores.items()
            if name.endswith(f"/{scorer}")
        }
        bins = edges(mine, run["id_dataset"])
        counts = {name: np.histogram(values, bins)[0] for name, values in mine.items()}
        if any(counts[name].sum() != len(mine[name]) for name in mine):
            raise ValueError(f"{run['slug']}: the bins of {scorer} miss some scores")
        rows = [f"{json.dumps(name)}: {_compact(row.tolist())}" for name, row in counts.items()]
        edge_lines.append(f"{json.dumps(scorer)}: {_compact(bins.tolist())}")
        count_lines.append(f"{json.dumps(scorer)}: {{\n" + ",\n".join(rows) + "}")
    return (
        f'{{"source": {json.dumps(SOURCE)},\n"slug": {json.dumps(run["slug"])},\n'
        f'"edges": {{\n{",".join(edge_lines)}}},\n"counts": {{\n{",".join(count_lines)}}}}}\n'
    )


def trace(run: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """A search as JSON lines; the first says whose, as the traces of our own search do."""
    settings = run["settings"]
    first = {
        "source": SOURCE,
        "slug": run["slug"],
        "plan": {
            "order": ORDERS[settings["searcher"]],
            "weight": settings["weight_type"].removeprefix("W_"),
            "ratios": settings["candi_ratios"],
            "lambda_ood": settings["locoop_lambda"],
            "top_k": settings["locoop_top_k"],
            "objective": settings["best_metric"],
            "prune": "minor",
            "predicted_labels": settings["use_pred_label"],
            "batch_size": settings["batch_size"],
            "seed": settings["seed"],
        },
        "fingerprint": {"backbone": BACKBONES[run["backbone"]][0]},
    }
    short = [{key: _short(value) for key, value in row.items()} for row in rows]
    text = "".join(f"{_compact(line)}\n" for line in [first, *short])
    *_, last = replay(text)
    if last.recipe.ratios != Recipe.loads(json.dumps(run["recipe"])).ratios:
        raise ValueError(f"{run['slug']}: the trace does not lead to the published recipe")
    return text


def facts(runs: list[dict[str, Any]]) -> str:
    """The authors' index with its source, one run a line."""
    lines = ",\n".join(json.dumps(run) for run in runs)
    return f'{{"source": {json.dumps(SOURCE)},\n"runs": [\n{lines}\n]}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds index.json, the .npz and the traces")
    parser.add_argument("--out", type=Path, default=PUBLISHED)
    arguments = parser.parse_args()
    runs = json.loads((arguments.folder / "index.json").read_text(encoding="utf-8"))
    pages = {"runs.json": facts(runs)}
    for run in runs:
        with np.load(arguments.folder / f"{run['slug']}.npz") as scores:
            pages[f"histograms/{run['slug']}.json"] = histograms(run, dict(scores))
        searched = arguments.folder / f"{run['slug']}.trace.json"
        if searched.exists():
            rows = json.loads(searched.read_text(encoding="utf-8"))
            pages[f"traces/{run['slug']}.jsonl"] = trace(run, rows)
    for name, text in pages.items():
        path = arguments.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"{name}: {len(text):,} bytes")


def _short(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
