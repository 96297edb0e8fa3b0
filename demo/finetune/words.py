"""What the Fine-tune tab says: how far a training is, and what it did to held pictures."""

from __future__ import annotations

import json

from demo.finetune.held import FEWEST, Epoch
from demo.finetune.job import Training
from demo.page.notices import Notice, busy, notice
from demo.page.words import duration, left_out
from demo.server.jobs import FAILED, STOPPED, WAITING
from demo.server.shipped import EMBEDDED
from setar_core.paths import BACKBONES

START = (
    "Press Train to watch: the loss falls step by step, and below it held pictures, which are not "
    "trained on, show whether known and foreign ones drift apart."
)
GONE = "That training is no longer kept here. Start a new one."
FULL = "{count} trainings are waiting already; try again in a few minutes"
RESAMPLES = 400
GOOD = ("worse", "better")
SIDES = ("inside", "outside")


def state(job: Training | None, before: list[Training]) -> Notice | list[Notice]:
    """The line above the drawings."""
    if job is None:
        return notice(START)
    if job.state == WAITING:
        count = len(before)
        others = f"{count} trainings are" if count > 1 else "another training is"
        return busy(f"In the queue: {others} before yours. It starts by itself." if count else
                    "Your turn comes now …")  # fmt: skip
    if job.stopping:
        return busy("Stopping after this step …")
    said = [_running(job) if job.active else _over(job)]
    if job.ready and job.ready.warning:
        said.append(notice(job.ready.warning, "warn"))
    if job.ready and job.ready.problems:
        what = left_out(len(job.ready.problems))
        said.append(notice(f"{what}.", "warn", job.ready.problems))
    if job.ready and len(job.ready.held.inside) < FEWEST:
        said.append(
            notice(
                f"Only {len(job.ready.held.inside)} known pictures could be held back, too few to "
                "say what the training does; give five or more of each label.",
                "warn",
            )
        )
    return said


def left(job: Training) -> float:
    """Seconds that the remaining steps will take, by those so far."""
    points, ready = job.points, job.ready
    if not points or ready is None:
        return 0.0
    seconds = sum(point.seconds for point in points) / len(points)
    return seconds * (ready.steps - points[-1].step - 1)


def measured(preset: str) -> str:
    """What a preset did to the embedded network on the shipped sets, over several seeds: by the
    mean over the sets, and by twice the deviation for what is no difference."""
    page = json.loads((BACKBONES / EMBEDDED / "finetune.json").read_text("utf-8"))["mcm"][preset]
    told = []
    for column, title, sign in (
        ("ID accuracy", "accuracy on known pictures", 1),
        ("FPR95", "foreign ones that pass (FPR95)", -1),
        ("AUROC", "sorting the two (AUROC)", 1),
    ):
        mean, spread = page[column]
        kind = "no clear change" if abs(mean) <= 2 * spread else GOOD[sign * mean > 0]
        told.append(f"{title} {mean:+.1f} ± {spread:.1f} points, {kind}")
    return f"On this model, over {page['seeds']} seeds, by MCM: {'; '.join(told)}."


def _running(job: Training) -> Notice:
    points, ready = job.points, job.ready
    if not points or ready is None:
        return busy(f"{job.request.title}. {job.progress.sentence} …")
    point = points[-1]
    return busy(
        f"Step {point.step + 1} of {ready.steps}, epoch {point.epoch + 1} of {ready.epochs}: loss "
        f"{point.loss:.3f}, {point.accuracy:.0f} % of the batch right. "
        f"{duration(job.elapsed)} so far, about {duration(left(job))} to go.",
        (point.step + 1) / ready.steps,
    )


def _over(job: Training) -> Notice:
    points, ready = job.points, job.ready
    if job.state == FAILED:
        return notice(f"No training: {job.problem}." if job.problem else "No training.", "bad")
    if job.is_estimate and ready is not None:
        whole = left(job) + sum(point.seconds for point in points)
        return notice(
            f"About {duration(whole)} for {ready.steps} steps on {ready.images} pictures, told "
            f"from the first {len(points)}, and a little for judging held ones. Press Train to run "
            "it.",
            "good",
        )
    if job.state == STOPPED and (not points or ready is None):
        return notice("Stopped before the first step. Nothing was trained.", "warn")
    if job.state == STOPPED and ready is not None:
        why = "when no page looked at it any more" if job.orphaned else "as you asked"
        return notice(
            f"Stopped {why}, after {points[-1].step + 1} of {ready.steps} steps. Press Resume to "
            "go on.",
            "warn",
        )
    return notice(f"Done: {len(points)} steps in {duration(job.elapsed)}. {verdict(job)}", "good")


def verdict(job: Training) -> str:
    """What it did to held pictures, in a sentence."""
    epochs = job.epochs
    if len(epochs) < 2 or min(len(epochs[0].inside), len(epochs[0].outside)) < FEWEST:
        return "What it does to other pictures could not be told here."
    low, high = _interval(epochs[0], epochs[-1])
    change = _fpr(epochs[-1]) - _fpr(epochs[0])
    if low <= 0 <= high:
        told = "no difference beyond chance in how many foreign pictures pass"
    else:
        more = "more" if change > 0 else "fewer"
        told = f"{abs(change):.1f} points {more} of the foreign pictures pass"
    first, last = epochs[0].accuracy or 0.0, epochs[-1].accuracy or 0.0
    return (
        f"On held pictures: {told} ({low:+.1f} to {high:+.1f}), and {last:.1f} % of the known ones "
        f"get their label, {first:.1f} % before."
    )


def table(job: Training | None) -> list[list[str]]:
    """Rows of before and now."""
    epochs = job.epochs if job else []
    if not epochs or min(len(epochs[0].inside), len(epochs[0].outside)) < FEWEST:
        return []
    one, other = epochs[0], epochs[-1]
    rows = [["known pictures that get their label, %, more is better",
             f"{one.accuracy:.1f}", f"{other.accuracy:.1f}"]]  # fmt: skip
    for title, which, form in (
        ("foreign ones that pass where 95 % of the known do (FPR95), %, less is better", 0, ".1f"),
        ("how well the score sorts the two (AUROC), %, more is better", 1, ".2f"),
    ):
        cells = []
        for epoch in (one, other):
            value, low, high = _with_interval(epoch, which)
            cells.append(f"{value:{form}} ({low:{form}} to {high:{form}})")
        rows.append([title, *cells])
    return rows


def _fpr(epoch: Epoch) -> float:
    from setar_core.metrics.separation import separation

    return 100 * separation(epoch.inside, epoch.outside).fpr95


def _with_interval(epoch: Epoch, which: int) -> tuple[float, float, float]:
    """FPR95 (0) or AUROC (1) in percent, and the ends of its interval."""
    from setar_core.metrics.bootstrap import interval, resampled
    from setar_core.metrics.separation import separation

    exact = separation(epoch.inside, epoch.outside)
    ends = interval(resampled(epoch.inside[None], epoch.outside[None], RESAMPLES)[0], exact)
    value, low, high = (100 * found[which] for found in (exact, *ends))
    return value, low, high


def _interval(before: Epoch, now: Epoch) -> tuple[float, float]:
    """The difference of FPR95, in points, by the bootstrap over the same pictures."""
    import numpy as np

    from setar_core.metrics.bootstrap import resampled

    ids, oods = (np.stack([getattr(e, side) for e in (before, now)]) for side in SIDES)
    drawn = resampled(ids, oods, RESAMPLES)[:, :, 0]
    low, high = 100 * np.percentile(drawn[1] - drawn[0], [2.5, 97.5])
    return float(low), float(high)
