"""What Benchmark says of a run: how far it is, what was left out, what is kept of it."""

from __future__ import annotations

from demo.benchmark.runs import Run
from demo.page import notices
from demo.page.notices import Notice
from demo.page.words import left_out
from demo.server.jobs import FAILED, FINISHED, STOPPED

GONE = "This benchmark is no longer kept on the server. Press Run to make it again."
NOT_BEGUN = "Stopped before anything was scored; the table is that of the run before."


def seen(run: Run) -> tuple[int, int]:
    """Images that were scored or left out, and all there are."""
    sets = run.bench.sets
    return sum(int(s.seen.sum()) for s in sets), sum(len(s.images) for s in sets)


def over(run: Run) -> Notice | list[Notice]:
    """What came of it: why there is nothing, or what is kept, or what was left out."""
    if run.state == FAILED:
        return notices.notice(run.problem, "bad")
    if run.state == STOPPED:
        return notices.notice(_stopped(run), "warn")
    parts = []
    problems = [
        f"{scored.images.name}: {reason}"
        for scored in run.bench.sets
        for reason in scored.left_out.values()
    ]
    if problems:
        told = f"{left_out(len(problems), 'image')}; the others are measured."
        parts.append(notices.notice(told, "bad", problems))
    inside = run.bench.id.images
    if inside.classes is None:
        strange = f" ({', '.join(inside.strangers[:4])})" if inside.strangers else ""
        parts.append(
            notices.notice(
                f"The folders of {inside.name} do not bear your labels' names{strange}, so there "
                "is no accuracy. Do its images show your labels?",
                "warn",
            )
        )
    return parts or [notices.notice("Done.", "good")]


def _stopped(run: Run) -> str:
    if run.made is None:
        return "Stopped before anything was scored."
    scored, total = seen(run)
    return f"Stopped at {scored:,} of {total:,} images; their scores are kept. Press Run to go on."


def found_again(run: Run) -> Notice:
    """What a page that was loaded anew shows; its controls know nothing of it."""
    of = f"{run.request.settings.backbone} with {len(run.request.settings.labels):,} labels"
    if run.active:
        return notices.notice(f"Your benchmark is still running: {of}.")
    if run.state == FINISHED:
        return notices.notice(
            f"Your last benchmark: {of}. It was run before this page was loaded, so the settings "
            "above may be others than its own."
        )
    scored, total = seen(run)
    return notices.notice(
        f"Your last benchmark, not finished: {of}, {scored:,} of {total:,} images scored. With its "
        "own settings chosen above, Run goes on from there.",
        "warn",
    )
