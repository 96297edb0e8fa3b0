"""A batch as CSV and as JSON, for files and for the API."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from demo.detect.batch import Batch, Judged
from demo.detect.judging import detectors
from demo.page.downloads import new_file
from demo.server.jobs import result_of
from demo.server.library import Library
from demo.server.models import model_of
from demo.server.request import recipe_of
from setar_core.benchmark.tables import guarded

if TYPE_CHECKING:
    from setar_core.threshold import Threshold
    from setar_core.verdict import Verdict


def as_dict(batch: Batch) -> dict[str, Any]:
    """Plain JSON values: the settings, a record an image, and what went wrong."""
    settings, change = batch.settings, batch.settings.recipe
    recipe = recipe_of(change)
    return {
        "settings": {
            "backbone": settings.backbone,
            "labels": list(settings.labels.names),
            "prompt": settings.labels.prompt,
            "recipe": json.loads(recipe.dumps()) if recipe else None,
            **({"adapter": change.fingerprint} if change and change is not recipe else {}),
            "score": settings.score,
            **settings.options.page(),
            **({"shaping": settings.shaping} if settings.shaping else {}),
            **({"share_of_examples": settings.share} if settings.examples else {}),
            **({"negatives": list(settings.words)} if settings.words else {}),
        },
        "thresholds": {weights: _threshold(t) for weights, t in batch.thresholds.items()},
        "images": [
            {
                "image": image.name,
                **_known(batch, image),
                **{w: _verdict(v) for w, v in image.verdicts.items()},
            }
            for image in batch.images
        ],
        "problems": list(batch.problems),
    }


def as_csv(batch: Batch) -> str:
    """One line an image; a cell that a spreadsheet would run as a formula starts with a quote."""
    out = io.StringIO()
    lines = [_record(batch, image) for image in batch.images]
    writer = csv.writer(out, lineterminator="\n")
    if lines:
        writer.writerow(lines[0])
    for line in lines:
        writer.writerow(guarded(c) if isinstance(c, str) else c for c in line.values())
    return out.getvalue()


def saved(batch: Batch, kind: str) -> str:
    """The path of a new file, `kind` csv or json."""
    if kind == "csv":
        text = as_csv(batch)
    else:
        text = json.dumps(as_dict(batch), indent=2, allow_nan=False) + "\n"
    path = new_file(f"verdicts.{kind}")
    path.write_text(text, encoding="utf-8")
    return str(path)


def saved_detector(library: Library, batch: Batch) -> str:
    """The path of a new zip: the batch's detector, by the recipe where there is one, with its
    threshold.

    Raises:
        ValueError: the settings are no longer those of the batch.
    """
    from setar_core.detector.files import save

    if batch.stale:
        raise ValueError("the settings were changed since; judge again, then save the detector")
    weights, made = batch.settings.weights[-1], result_of(detectors(library, batch.settings))
    path = new_file("detector.zip")
    detector = made[weights].with_threshold(batch.thresholds.get(weights))
    library.turns.run("saving a detector", save, detector, path, model_of(batch.settings.backbone))
    return str(path)


def _record(batch: Batch, image: Judged) -> dict[str, object]:
    record: dict[str, object] = {"image": image.name}
    if batch.known:
        record["known"] = batch.known.get(image.path, "")
    for weights in batch.settings.weights:
        verdict = image.verdicts[weights]
        record |= {
            f"{weights}_verdict": verdict.decision,
            f"{weights}_in_distribution": verdict.in_distribution if verdict.decided else "",
            f"{weights}_threshold": "" if verdict.threshold is None else verdict.threshold,
        }
        record |= {f"{weights}_{name}": score for name, score in verdict.scores.items()}
        for place, (label, probability) in enumerate(verdict.top, start=1):
            record |= {
                f"{weights}_label_{place}": label,
                f"{weights}_probability_{place}": probability,
            }
    return record


def _known(batch: Batch, image: Judged) -> dict[str, str]:
    return {"known": batch.known[image.path]} if image.path in batch.known else {}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    maps = {"patches": verdict.patches, "support": verdict.support}
    shown = {name: map.round(4).tolist() for name, map in maps.items() if map is not None}
    return {**verdict.page(), **shown}


def _threshold(threshold: Threshold | float) -> dict[str, Any]:
    if isinstance(threshold, float):
        return {"value": threshold, "found": "by hand"}
    page = threshold.page()
    how = {name: page[name] for name in ("recall", "reached", "interval", "band")}
    return {"value": threshold.value, "found": "by calibration", **how, "images": threshold.n}
