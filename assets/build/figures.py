"""Prints README's measured figures again: `python -m assets.build.figures [--only NAME ...]`.

They go into docs/figures.md, a section for each command; a test holds README against that file.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from setar_core.__main__ import main as setar
from setar_core.paths import BACKBONES, BENCHMARK
from setar_core.scores import ALONE, MINED, SCORES

FILE = Path(__file__).resolve().parents[2] / "docs" / "figures.md"
HEAD = (
    "# Figures\n\nWhat the commands below print, written by `make figures`. "
    "README quotes from here, and a test compares.\n"
)
OODS = ("near", "other", "textures", "glyphs", "noise")
ASKED = (
    "benchmark --backbone emoji --labels animals --recipe original emoji-searched "
    "--id {0}/id --ood {0}/near {0}/other {0}/textures {0}/glyphs {0}/noise"
)
MINE = "negatives --backbone emoji --labels animals --method {0} --out {1}"
SHAPED = "mcm,energy,max_logit"
SHAPINGS = ("react:p90", "ash-p:65", "ash-b:65", "ash-s:95")
CLOSE = BACKBONES / "emoji" / "close_calls.json"
MEANS = BACKBONES / "emoji" / "scores.json"


def shipped() -> str:
    """The embedded backbone on the shipped sets, as the command line measures it."""
    results = measured(f"{ASKED} --scores mcm,gl_mcm")
    rows = _by_key(results)
    notes = []
    for recipe, score in dict.fromkeys(key[:2] for key in rows):
        mean = rows[recipe, score, "mean"]
        low, high = mean["ci"]["fpr95"]
        notes.append(
            f"- {_weights(recipe)}, {SCORES[score].title}: mean FPR95 {mean['fpr95']:.2f} "
            f"(95 % interval {low:.1f} to {high:.1f}), mean AUROC {mean['auroc']:.2f}"
        )
    notes += [f"- {name}: top-1 {value:.1f} %" for name, value in results["accuracy"].items()]
    asked = f"{ASKED} --scores mcm,gl_mcm".format("assets/benchmark")
    command = f"    python -m setar_core {asked} --out results.json"
    return "\n".join([command, "", *_table(rows), "", *notes])


def every_score() -> str:
    """All scores on the same images, with negatives and after learning; then what shaping does."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        files = []
        for way in sorted(MINED):
            files.append(str(Path(folder) / f"{way}.json"))
            setar([*MINE.format(way, files[-1]).split()])
        more = " ".join(f"--negatives {file}" for file in files)
        results = measured(f"{ASKED} --scores all --fit {{0}}/calibration {more}")
        shaped = {
            shaping: measured(
                f"{ASKED} --scores {SHAPED} --fit {{0}}/calibration --shaping {shaping}"
            )
            if shaping.startswith("react:p")
            else measured(f"{ASKED} --scores {SHAPED} --shaping {shaping}")
            for shaping in SHAPINGS
        }
    rows = _by_key(results)
    plain = {score: rows["original", score, "mean"] for _, score, _ in rows}
    MEANS.write_text(json.dumps(_means(plain), indent=1, allow_nan=False) + "\n", "utf-8")
    lines = [
        *(f"    python -m setar_core {MINE.format(way, f'{way}.json')}" for way in sorted(MINED)),
        f"    python -m setar_core {ASKED.format('assets/benchmark')} --scores all "
        "--fit assets/benchmark/calibration --negatives csp.json --negatives neglabel.json",
        "",
        *_table(rows, intervals=True),
        "",
        _overlap(),
        "",
        "The same images after the features of whole images were shaped (`--shaping`), original",
        "weights, mean AUROC / mean FPR95:",
        "",
        f"| shaping | {' | '.join(SCORES[name].title for name in SHAPED.split(','))} |",
        "|---|" + "---|" * len(SHAPED.split(",")),
        _shaped_row("none", plain),
    ]
    for shaping, found in shaped.items():
        means = {row["score"]: row for row in found["rows"] if row["ood"] == "mean"}
        lines.append(_shaped_row(shaping, means))
    return "\n".join(lines)


def close_calls() -> str:
    """The share of each shipped set whose verdict lies within what is not known of the threshold,
    by every score that needs nothing."""
    from setar_core.backbones import load_backbone
    from setar_core.data.images import find_images
    from setar_core.detector import Detector
    from setar_core.labels import LabelSet
    from setar_core.recipe import Recipe

    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    known = find_images([BENCHMARK / "calibration"])
    paths = {name: find_images([BENCHMARK / name]) for name in ("id", *OODS)}
    shares: dict[str, dict[str, dict[str, float]]] = {}
    for weights, recipe in (("original", None), ("emoji-searched", Recipe.load("emoji-searched"))):
        altered = backbone.with_recipe(recipe) if recipe else backbone
        ready = {name: Detector(altered, labels, name).calibrate(known) for name in ALONE}
        for ood, files in paths.items():
            for _, some in ready["mcm"].read(files):
                for score, detector in ready.items():
                    calls = shares.setdefault(weights, {}).setdefault(score, {})
                    close = sum(verdict.close for verdict in detector.judge(some))
                    calls[ood] = calls.get(ood, 0) + close / len(files)
    original = {
        score: {name: round(100 * share, 1) for name, share in calls.items()}
        for score, calls in shares["original"].items()
    }
    CLOSE.write_text(json.dumps(original, indent=1, allow_nan=False) + "\n", "utf-8")
    lines = [
        "In percent of each set, by thresholds that keep 95 % of `calibration` (200 pictures).\n",
        f"| weights | score | id | {' | '.join(OODS)} |",
        "|---|---|" + "---|" * (len(OODS) + 1),
    ]
    for weights, scores in shares.items():
        for score, calls in scores.items():
            cells = " | ".join(f"{100 * share:.1f}" for share in calls.values())
            lines.append(f"| {_weights(weights)} | {SCORES[score].title} | {cells} |")
    return "\n".join(lines)


def _overlap() -> str:
    """Which OOD sets hold what the negatives name."""
    from setar_core.data.negatives.words import vocabulary
    from setar_core.labels import LabelSet

    concepts = (BACKBONES / "emoji" / "concepts.txt").read_text("utf-8").split("\n")
    words = set(vocabulary(tuple(filter(None, concepts)), LabelSet.load("animals").names).nouns)
    parts = []
    for ood in OODS:
        files = (BENCHMARK / ood).rglob("*.webp")
        names = {re.sub(r"-\d+$", "", file.stem).replace("-", " ") for file in files}
        parts.append(f"{len(names & words)} of the {len(names)} of {ood}")
    return (
        f"The {len(words)} negatives are what the backbone was taught without the labels. Among "
        f"them are the things shown in {', '.join(parts)}."
    )


def measured(asked: str) -> dict[str, Any]:
    """What a benchmark of the shipped sets writes."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        out = Path(folder) / "results.json"
        setar([*asked.format(BENCHMARK).split(), "--out", str(out)])
        return json.loads(out.read_text("utf-8"))


def _by_key(results: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = {(row["recipe"], row["score"], row["ood"]): row for row in results["rows"]}
    means = {key[:2]: row for key, row in rows.items() if key[2].startswith("mean")}
    return rows | {(*key, "mean"): row for key, row in means.items()}


def _table(rows: dict[tuple[str, str, str], dict[str, Any]], intervals: bool = False) -> list[str]:
    lines = [
        f"| weights | score | {' | '.join(OODS)} | mean AUROC | mean FPR95 |",
        "|---|---|" + "---|" * (len(OODS) + 2),
    ]
    for recipe, score in dict.fromkeys(key[:2] for key in rows):
        cells = ["{auroc:.1f} / {fpr95:.1f}".format(**rows[recipe, score, name]) for name in OODS]
        mean = rows[recipe, score, "mean"]
        for name in ("auroc", "fpr95"):
            low, high = mean["ci"][name]
            cells.append(f"{mean[name]:.1f}" + f" ({low:.1f} to {high:.1f})" * intervals)
        lines.append(f"| {_weights(recipe)} | {SCORES[score].title} | {' | '.join(cells)} |")
    return lines


def _means(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The mean AUROC and FPR95 of each score, which the page tells beside it."""
    names = ("auroc", "fpr95")
    return {score: {name: round(row[name], 2) for name in names} for score, row in rows.items()}


def _shaped_row(shaping: str, means: dict[str, dict[str, Any]]) -> str:
    cells = ["{auroc:.1f} / {fpr95:.1f}".format(**means[name]) for name in SHAPED.split(",")]
    return f"| {shaping} | {' | '.join(cells)} |"


def _weights(recipe: str) -> str:
    return recipe if recipe == "original" else f"`{recipe}`"


def printed(*names: str) -> Callable[[], str]:
    """What modules print when they are run."""

    def run() -> str:
        parts = []
        for name in names:
            done = subprocess.run(
                [sys.executable, "-m", *name.split()],
                cwd=FILE.parents[1],
                capture_output=True,
                text=True,
                check=True,
            )
            parts.append(f"    python -m {name}\n\n```\n{done.stdout.strip()}\n```")
        return "\n\n".join(parts)

    return run


SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "shipped": ("The embedded backbone on the shipped sets", shipped),
    "scores": ("Every score on the shipped sets", every_score),
    "close": ("Close calls on the shipped sets", close_calls),
    "draws": ("Twenty draws of the shipped sets", printed("assets.build.draws")),
    "recipe": ("What SeTAR does over many draws", printed("tests.speed.emoji_recipe")),
    "finetune": (
        "What each way of fine-tuning does over seeds",
        printed("tests.speed.emoji_finetune --out assets/backbones/emoji/finetune.json"),
    ),
    "speed": ("Speed, as ratios in one run", printed("tests.speed.detect", "tests.speed.search")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    chosen = parser.parse_args().only
    kept = re.split(r"^## (.+)\n", FILE.read_text("utf-8"), flags=re.M) if FILE.exists() else [""]
    bodies = dict(zip(kept[1::2], (body.strip("\n") for body in kept[2::2]), strict=True))
    for name in chosen:
        title, measure = SECTIONS[name]
        bodies[title] = measure()
        parts = [
            f"\n## {title}\n\n{bodies[title]}\n"
            for title, _ in SECTIONS.values()
            if title in bodies
        ]
        FILE.write_text(HEAD + "".join(parts), "utf-8")  # after each: a long run loses nothing
        print(f"{name}: written to {FILE.name}", flush=True)


if __name__ == "__main__":
    main()
