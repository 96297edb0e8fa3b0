"""A sheet as CSV and as JSON, for files and for the API."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from demo.detect.batch import Entry, Sheet
from demo.detect.rows import decision
from demo.page.downloads import new_file

if TYPE_CHECKING:
    from setar_core.detector import Verdict

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_dict(sheet: Sheet) -> dict[str, Any]:
    """Plain JSON values: the settings, a record an image, and what went wrong."""
    ask = sheet.ask
    return {
        "settings": {
            "backbone": ask.backbone,
            "labels": list(ask.labels.names),
            "prompt": ask.labels.prompt,
            "recipe": json.loads(ask.recipe.dumps()) if ask.recipe else None,
            "score": ask.score,
            "temperature": ask.temperature,
            "local_weight": ask.local_weight,
        },
        "thresholds": {weights: _threshold(t) for weights, t in sheet.thresholds.items()},
        "images": [
            {"image": entry.name, **{w: _verdict(v) for w, v in entry.verdicts.items()}}
            for entry in sheet.entries
        ],
        "problems": list(sheet.problems),
    }


def as_csv(sheet: Sheet) -> str:
    """One line an image; a cell that a spreadsheet would run as a formula starts with a quote."""
    out = io.StringIO()
    lines = [_record(sheet, entry) for entry in sheet.entries]
    writer = csv.writer(out, lineterminator="\n")
    if lines:
        writer.writerow(lines[0])
    for line in lines:
        writer.writerow(map(_safe, line.values()))
    return out.getvalue()


def saved(sheet: Sheet, kind: str) -> str:
    """The path of a new file, `kind` csv or json."""
    text = as_csv(sheet) if kind == "csv" else json.dumps(as_dict(sheet), indent=2) + "\n"
    path = new_file(f"verdicts.{kind}")
    path.write_text(text, encoding="utf-8")
    return str(path)


def _record(sheet: Sheet, entry: Entry) -> dict[str, object]:
    record: dict[str, object] = {"image": entry.name}
    for weights in sheet.ask.weights:
        verdict = entry.verdicts[weights]
        record |= {
            f"{weights}_verdict": decision(verdict),
            f"{weights}_threshold": "" if verdict.threshold is None else verdict.threshold,
        }
        record |= {f"{weights}_{name}": score for name, score in verdict.scores.items()}
        for place, (label, probability) in enumerate(verdict.top, start=1):
            record |= {
                f"{weights}_label_{place}": label,
                f"{weights}_probability_{place}": probability,
            }
    return record


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": decision(verdict),
        "score": verdict.score,
        "threshold": verdict.threshold,
        "top": [{"label": label, "probability": p} for label, p in verdict.top],
        "scores": dict(verdict.scores),
        "patches": None if verdict.patches is None else verdict.patches.round(4).tolist(),
    }


def _threshold(threshold: object) -> dict[str, Any]:
    if isinstance(threshold, float):
        return {"value": threshold, "found": "by hand"}
    return {
        "value": threshold.value,
        "found": "by calibration",
        "recall": threshold.recall,
        "reached": threshold.reached,
        "interval": list(threshold.interval),
        "images": threshold.n,
    }


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
