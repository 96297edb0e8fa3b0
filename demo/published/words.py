"""Plain words for the authors' published runs: names, the one sentence, what contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from setar_core.metrics.separation import Metrics
from setar_core.published import MEAN, SETS, VANILLA, Line, Run, published_runs

METHODS = {
    VANILLA: ("Original weights", "nothing changed"),
    "LoRA": ("LoRA", "fine-tuned, for comparison"),
    "SeTAR": ("SeTAR", "smallest parts dropped, no training"),
    "SeTAR+FT": ("SeTAR+FT", "those parts trained instead"),
}
SCORES = {"mcm": "MCM", "gl_mcm": "GL-MCM", "energy": "Energy"}
MEASURES = {  # its field in Metrics, and what it means
    "FPR95 ↓": (
        "fpr95",
        "percent of the foreign pictures that pass for known ones; less is better",
    ),
    "AUROC ↑": (
        "auroc",
        "percent of all pairs ranked rightly, the known above the foreign; more is better",
    ),
    "AUPR ↑": (
        "aupr",
        "average precision of finding the known pictures, in percent; more is better",
    ),
}
SOURCE = (
    "Published by the authors of SeTAR with their code: "
    '<a href="https://github.com/X1AOX1A/SeTAR" target="_blank" rel="noopener">X1AOX1A/SeTAR</a>, '
    "commit 1564daa, MIT, "
    '<a href="https://arxiv.org/abs/2406.12629" target="_blank" rel="noopener">arXiv:2406.12629</a>'
    ". All runs have seed 5. Not measured by us, but for "
    "the times of our own search."
)

MEASURED = (
    "<h3>The same tables in the embedded world, measured by this program</h3>"
    '<p class="hint">Its 40 animals stand for ImageNet-1k and its small backbone for CLIP '
    "ViT-B/16; what it has no counterpart of, other networks and harder sets, is not in the list; "
    "trainings take the papers' epochs, which on its 200 pictures are few steps. "
    "Every row is made by commands that the report names. <code>make papers</code> makes it again, "
    "and <code>setar papers --data DIR</code> measures the paper's own tables where their pictures "
    "lie on the disk.</p>"
)


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}"


def signed(change: float, digits: int = 1) -> str:
    """A relative change in percent, with a minus that is one."""
    digits += 0 < abs(100 * change) < 0.5 * 10**-digits  # a change is never written as none
    return f"{100 * change:+.{digits}f} %".replace("-", "−")


def minutes(seconds: int) -> str:
    return f"{seconds // 60} min {seconds % 60:02d} s"


def sentence(lines: Sequence[Line], method: str, score: str) -> str:
    """What the method does to the mean FPR95, for someone who never heard of either."""
    shown = next((line for line in lines if line.run.method == method), lines[-1])
    run, mean = shown.run, shown.metrics[MEAN]
    known, name = SETS[run.id_set], METHODS[run.method][0]
    after = f"{percent(mean.fpr95)}\u00a0%"
    scene = (
        f"{escape(run.title)} should recognise {known} pictures and refuse foreign ones. With the "
        f"threshold that accepts 95 % of the {known} pictures ({SCORES[score]} score), "
    )
    if run.method == VANILLA or shown.change is None:
        return (
            f"{scene}<b>{percent(mean.fpr95)}\u00a0%</b> of the foreign ones slip through ({name})."
        )
    before = next(line for line in lines if line.run.method == VANILLA).metrics[MEAN]
    way = "fewer" if mean.fpr95 < before.fpr95 else "more"
    change = percent(abs(shown.change[MEAN].fpr95), 1)
    return (
        f"{scene}<b>{percent(before.fpr95)}\u00a0%</b> of the foreign ones slip through the "
        f"original weights, and <b>{after}</b> with {name}: {change}\u00a0% {way}."
    )


def contradictions(backbone: str, id_set: str) -> list[str]:
    """Where the published material contradicts itself, as far as this network and ID set go."""
    runs = [run for run in published_runs() if run.backbone == backbone]
    here = [run for run in runs if run.id_set == id_set]
    found = [text for text in (unlike(here), _accuracies(runs)) if text]
    if id_set == "pascal_voc":
        found.append(
            "The Pascal VOC runs know 14 of the 20 VOC classes. Their accuracy is measured on "
            "ImageNet-1k, SUN, Places and Textures, never on VOC."
        )
    if any(run.title == "SwinV2-B" for run in here):
        found.append(
            "The authors' slides have an energy column for the fine-tuned SwinV2-B. Its numbers "
            "are those of GL-MCM at temperature 100, as in their repository and here."
        )
    if any(run.kind == "finetune" for run in here):
        found.append(
            "The slides print fine-tuned results as means over three seeds; these runs have seed 5 "
            "(SeTAR+FT on CLIP ViT-B/16 with GL-MCM: 32.19 there, 32.27 here)."
        )
    found.append(
        "The ablation that should drop random components is not among these runs: its published "
        "ImageNet settings say “principal”."
    )
    return found


def unlike(runs: Sequence[Run]) -> str:
    """That the rows of a table were scored at different temperatures, if they were."""
    if len({run.settings["temperature"] for run in runs}) == 1:
        return ""
    return (
        "LoRA and SeTAR+FT were scored at temperature 100 here, the original weights and SeTAR at "
        "1. Their rows are not measured alike, so the change is not only the method's."
    )


def _accuracies(runs: Sequence[Run]) -> str:
    values = {run.accuracy["imagenet1k"] for run in runs if run.method == VANILLA}
    if len(values) == 1:
        return ""
    said = " and ".join(f"{percent(value, 3)} %" for value in sorted(values))
    return f"The original weights have two ImageNet-1k accuracies, {said}, in two runs."


def better(new: float, old: float, measure: str) -> bool | None:
    """Whether a metric moved the right way; None where it did not move."""
    if new == old:
        return None
    return (new < old) == (measure == "fpr95")


def picked(metrics: Metrics, measure: str) -> float:
    return getattr(metrics, measure)
