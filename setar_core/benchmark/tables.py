"""The results of a benchmark as JSON, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..metrics.bootstrap import BEST, LEVEL
from ..metrics.curves import rates
from ..metrics.separation import Metrics
from ..recipe import ORIGINAL
from ..scores import SCORES
from .differences import conclusion
from .results import BETTER, Detection, Row, leaders

if TYPE_CHECKING:
    from .about import About
    from .run import Benchmark

FPR95 = (
    "the share of OOD images accepted at the lowest threshold whose ID recall is nearest 95 %, as "
    "MCM and SeTAR read it; ID is the positive class"
)
TITLES = ("FPR95", "AUROC", "AUPR")
_SIGNS = tuple("=+-@＝＋－＠")  # of a formula; the wide ones where one writes with them
_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {c: f"\\{c}" for c in "\\`*[]~"}
)
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {character: f"\\{character}" for character in "&%$#_{}"}
_TEX |= {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "≈": r"$\approx$", "“": "``", "”": "''"}


def results(bench: Benchmark, rows: Sequence[Row]) -> dict[str, Any]:
    """`results.json`: rows, accuracy and thresholds in percent, and the settings."""
    first = next(iter(bench.detectors.values()))
    accuracy = {r: 100 * a for r in bench.detectors if (a := bench.accuracy(r)) is not None}
    return {
        "rows": [row.page() for row in rows],
        "best": leaders(rows),
        "accuracy": accuracy or None,
        "conclusion": str(said) if (said := conclusion(bench.comparisons)) else None,
        "thresholds": thresholds(bench) if bench.calibration else None,
        "left_out": [
            {"set": s.images.name, "image": s.images.files[place], "reason": reason}
            for s in bench.sets
            for place, reason in s.left_out.items()
        ],
        "settings": {
            "backbone": first.backbone.name,
            "weights": first.backbone.fingerprint,
            "labels": {"number": len(first.labels), "fingerprint": first.labels.fingerprint},
            "prompt": first.labels.prompt,
            "recipes": {
                name: json.loads(d.backbone.recipe.dumps()) if d.backbone.recipe else None
                for name, d in bench.detectors.items()
            },
            "scores": list(bench.scores),
            **first.options.page(),
            **bench.given,
            "id": bench.id.images.name,
            "ood": [ood.images.name for ood in bench.oods],
            "calibration": bench.calibration and bench.calibration.images.name,
            "resamples": bench.resamples,
            "confidence": 0.95 if bench.resamples else None,
            "seed": bench.seed,
            "fpr95": FPR95,
        },
    }


def thresholds(bench: Benchmark) -> list[dict[str, Any]]:
    """Each detector's threshold from the calibration images, and what it accepts, in percent."""
    found = []
    for detection in bench.detections:
        line = bench.threshold(detection)
        accepted = {}
        for ood in bench.oods:
            if len(ood.places):
                ids, oods = bench.scores_of(bench.id, detection), bench.scores_of(ood, detection)
                kept, accepted[ood.images.name] = rates(ids, oods, line.value)
        found.append(
            {
                **detection._asdict(),
                "threshold": line.value,
                "n": line.n,
                "reached": 100 * line.reached,
                "interval": [100 * end for end in line.interval],
                "id_accepted": 100 * kept,
                "ood_accepted": {name: 100 * share for name, share in accepted.items()},
            }
        )
    return found


def guarded(cell: str) -> str:
    """The text with a quote before it, where a spreadsheet would run it as a formula."""
    seen = next((c for c in cell if c.isprintable() and not c.isspace()), "")
    return f"'{cell}" if cell.startswith(("\t", "\r", "\n")) or seen in _SIGNS else cell


def as_csv(rows: Sequence[Row], about: About) -> str:
    """One line a row, in percent, with all that it was measured with; a cell that a spreadsheet
    would run starts with a quote. A `standing` is `best` of the rows of its OOD set, `level` where
    the difference from the best may be chance, or empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = [f"{name}_{end}" for name in Metrics._fields for end in ("low", "high")]
    ranks = [f"{name}_standing" for name in Metrics._fields]
    head = ["recipe", "score", "ood", *Metrics._fields, *ends, "n_id", "n_ood", *ranks]
    writer.writerow([*head, *about.columns(ORIGINAL)])
    for row in rows:
        names = (row.recipe, row.score, row.ood)
        bounds = [f"{100 * end:.6g}" for pair in row.ends for end in pair] or [""] * 6
        writer.writerow(
            [
                *map(guarded, names),
                *(f"{100 * value:.6g}" for value in row.metrics),
                *bounds,
                row.n_id,
                row.n_ood,
                *row.standing,
                *map(guarded, about.columns(row.recipe).values()),
            ]
        )
    return out.getvalue()


def as_markdown(rows: Sequence[Row], about: About) -> str:
    """A line a detector and three columns an OOD set; the best in bold, ≈ what is level with it;
    below it what it says, what the signs mean and what it was measured with."""
    sets = list(dict.fromkeys(row.ood for row in rows))
    heads = [f"{markdown_text(ood)} {title}" for ood in sets for title in arrows()]
    lines = [["Recipe", "Score", *heads], ["---", "---", *["---:"] * len(heads)]]
    for detection, mine in by_detection(rows).items():
        cells = []
        for ood in sets:
            for text, rank in _cells(mine.get(ood)):
                cells.append(f"**{text}**" if rank == BEST else _level(text, rank, "≈ "))
        lines.append([markdown_text(detection.recipe), _title(detection.score), *cells])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{table}\n" + "".join(f"{markdown_text(line)}\n" for line in _told(about))


def as_latex(rows: Sequence[Row], about: About) -> str:
    """The same for a paper; needs the package `booktabs`."""
    sets = list(dict.fromkeys(row.ood for row in rows))
    groups = " & ".join(rf"\multicolumn{{3}}{{c}}{{{latex_text(ood)}}}" for ood in sets)
    rules = " ".join(rf"\cmidrule(lr){{{3 + 3 * i}-{5 + 3 * i}}}" for i in range(len(sets)))
    ways = {"up": r"$\uparrow$", "down": r"$\downarrow$"}
    heads = [f"{title} {ways[way]}" for title, way in zip(TITLES, BETTER, strict=True)]
    lines = [
        rf"\begin{{tabular}}{{ll{'ccc' * len(sets)}}}",
        r"\toprule",
        rf" & & {groups} \\",
        rules,
        rf"Recipe & Score & {' & '.join(heads * len(sets))} \\",
        r"\midrule",
    ]
    for detection, mine in by_detection(rows).items():
        cells = []
        for ood in sets:
            for text, rank in _cells(mine.get(ood)):
                cells.append(
                    rf"\textbf{{{text}}}" if rank == BEST else _level(text, rank, r"$\approx$ ")
                )
        names = f"{latex_text(detection.recipe)} & {latex_text(_title(detection.score))}"
        lines.append(rf"{names} & {' & '.join(cells)} \\")
    notes = [latex_text(line) for line in _told(about)]
    notes = ["", r"\par\smallskip{\footnotesize", *notes, r"\par}", ""]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *notes])


def arrows() -> list[str]:
    """The metrics' titles with an arrow to where they are better."""
    signs = {"up": "↑", "down": "↓"}
    return [f"{title} {signs[way]}" for title, way in zip(TITLES, BETTER, strict=True)]


def by_detection(rows: Sequence[Row]) -> dict[Detection, dict[str, Row]]:
    """Rows by detector, then by OOD set, in the order in which they came."""
    found: dict[Detection, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(Detection(row.recipe, row.score), {})[row.ood] = row
    return found


def _told(about: About) -> list[str]:
    """What stands below a table."""
    return [line for line in (about.conclusion, about.legend, *about.lines) if line]


def _cells(row: Row | None) -> list[tuple[str, str]]:
    """Each metric in percent with two decimals, and where it stands."""
    if row is None:
        return [("", "")] * 3
    values = zip(row.metrics, row.standing, strict=True)
    return [(f"{100 * value:.2f}", rank) for value, rank in values]


def _level(text: str, rank: str, sign: str) -> str:
    return sign + text if rank == LEVEL else text


def _title(score: str) -> str:
    return SCORES[score].title if score in SCORES else score


def markdown_text(name: str) -> str:
    """A name in a Markdown table: no cell, tag, link or emphasis of its own."""
    return " ".join(name.replace("|", "/").translate(_MARKDOWN).split())


def latex_text(name: str) -> str:
    """A name in LaTeX."""
    return "".join(_TEX.get(character, character) for character in " ".join(name.split()))
