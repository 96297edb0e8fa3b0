"""What Detect does when it is asked: plain functions of plain values, free of layout.

Every handler returns or yields a `Page`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from demo.detect import words
from demo.detect.batch import Batch
from demo.detect.controls import OWN
from demo.detect.judging import (
    Chunk,
    Detectors,
    calibrated,
    check_batch,
    detectors,
    judged,
    scores,
    with_own,
)
from demo.detect.view import Page, reporting_errors, shown
from demo.page import notices
from demo.page.words import left_out
from demo.server.jobs import Job, Jobs, Steps
from demo.server.library import Library
from demo.server.limits import JUDGING, KEPT_BATCHES, KEPT_CALIBRATIONS
from demo.server.request import RECALL, read_settings
from demo.server.settings import ORIGINAL, Settings
from demo.server.shipped import examples
from demo.server.store import Store
from demo.server.supplies import threshold_pictures
from setar_core.scores import MINED, SCORES
from setar_core.threshold import calibrate

AT_ONCE = 5.0  # seconds that judging may take to follow a setting without being asked
GONE = "These verdicts are no longer kept on the server. Press Judge to make them again."

Result = TypeVar("Result")


class DetectHandlers:
    """Holds the shelves, the judged batches, and scores of the shipped calibration pictures."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.batches = Store[Batch](KEPT_BATCHES)
        self.jobs = Jobs[Job](
            **JUDGING._asdict(), waiting="waiting until other visitors' pictures are judged"
        )
        self._shipped = Store[dict[str, tuple[float, ...]]](KEPT_CALIBRATIONS)  # by settings
        self._following = Store[Settings](KEPT_BATCHES)  # what a batch is judged by next
        self._openings = Store[Job[Batch]](1)  # by settings
        self._lock = threading.Lock()

    @reporting_errors
    def judge(
        self,
        files: Sequence[str] | None,
        name: str | None,
        by: str,
        recall: float,
        *controls: Any,
    ) -> Iterator[Page]:
        """Judge the given files, or else the batch's own, or else the examples."""
        settings = read_settings(self.library, *controls)
        now = yield from self._asked(files, self.batches.find(name), by, recall, settings)
        yield self._kept(name, now, by)

    def _asked(
        self,
        files: Sequence[str] | None,
        before: Batch | None,
        by: str,
        recall: float,
        settings: Settings,
    ) -> Generator[Page, None, Batch]:
        """As `judge`, the pages on the way; the batch that it comes to."""
        paths = [Path(file) for file in files or ()]
        if not paths and before is not None:
            paths = [image.path for image in before.images]
        paths = paths or examples()
        check_batch(paths)
        if (
            before is not None
            and before.settings == settings
            and not before.stale
            and before.thresholds
        ):
            start = replace(before, images=(), problems=())
            job = self._started(paths, partial(self._again, start))
        elif paths == examples() and recall == RECALL:
            job = self._opening(settings)
        else:
            job = self._started(paths, partial(self._calibrated, settings, recall))
        return (yield from self._shown(job, by))

    @reporting_errors
    def calibrate(
        self,
        source: str,
        files: Sequence[str] | None,
        name: str | None,
        by: str,
        picked: int | None,
        recall: float,
        *controls: Any,
    ) -> Iterator[Page]:
        """Find both thresholds on the shipped pictures or on the visitor's own."""
        settings = read_settings(self.library, *controls)
        if source == OWN and not files:
            raise ValueError(
                "no calibration picture is here; add pictures of your own that show your labels, "
                "better 20 or more"
            )
        own = [Path(file) for file in files or ()] if source == OWN else None
        before = self.batches.find(name)
        work = partial(self._calibrating, settings, own, before, recall)
        now, problems = yield from self._shown(self.jobs.start(Job("calibrating", work)), by)
        page = self._kept(name, now, by, picked)
        if problems:
            told = f"{left_out(len(problems), 'calibration file')}."
            page = page._replace(notice=[*page.notice, notices.notice(told, "bad", problems)])
        yield page

    def judge_again(
        self, files: Sequence[str] | None, name: str | None, *controls: Any
    ) -> Iterator[Page]:
        """Judge what is shown; the files where that is them, or nothing is shown."""
        before = self.batches.find(name)
        here = set() if before is None else {str(image.path) for image in before.images}
        yield from self.judge(files if here <= set(files or ()) else None, name, *controls)

    def judge_left(self, files: Sequence[str] | None, *controls: Any) -> Iterator[Page]:
        """A file was taken off the list: judge what is left, the examples where nothing is."""
        yield from self.judge(files or [str(path) for path in examples()], *controls)

    def settings_changed(
        self, name: str | None, by: str, picked: int | None, *controls: Any
    ) -> Page:
        """A control was changed: a threshold that no longer holds is stale, and the page says so.

        Where the change is taken back, the thresholds that were found hold again.
        """
        now = self.batches.find(name)
        if now is None:
            return Page()
        try:
            settings = read_settings(self.library, *controls)
        except ValueError as error:
            return Page(notice=notices.failure(error))
        stale = tuple(settings.changed(now.settings))
        if stale == now.stale:
            return Page(notice=words.of_batch(now))
        return self._kept(name, now.outdated_by(stale), by, picked)

    @reporting_errors
    def settings_followed(
        self,
        name: str | None,
        by: str,
        picked: int | None,
        recall: float,
        *controls: Any,
    ) -> Iterator[Page]:
        """A control was changed: what is shown is judged again, or is stale where that takes
        long."""
        page = self.settings_changed(name, by, picked, *controls)
        now = self.batches.find(name)
        if now is None or not now.stale:
            yield page
            return
        settings = read_settings(self.library, *controls)
        if self._seconds(now, settings) > AT_ONCE:
            yield page
        elif self._following.find(name) == settings:  # several events tell of one choice
            yield Page()
        else:
            self._following.put(name, settings)
            try:
                judged = yield from self._asked(None, now, by, recall, settings)
                if self._following.find(name) == settings:  # else what was chosen since is shown
                    picked = picked if picked and picked < len(judged.images) else None
                    yield self._kept(name, judged, by, picked)
            except ValueError as error:
                yield page._replace(notice=notices.failure(error))
            finally:
                if self._following.find(name) == settings:
                    self._following.drop(name)

    def recall_moved(self, recall: float, name: str | None, by: str, picked: int | None) -> Page:
        """Another recall on the calibration scores that are kept; asks no network."""
        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        calibration = {
            weights: calibrate(found.scores, recall, found.context)
            for weights, found in now.calibration.items()
        }
        return self._kept(name, now.calibrated(calibration), by, picked)

    def line_moved(
        self, place: int, value: float | None, name: str | None, by: str, picked: int | None
    ) -> Page:
        """A threshold set by hand; asks no network."""
        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        if now.stale:
            return Page(notice=words.of_batch(now))
        weights = now.settings.weights[place : place + 1]
        if not weights or value is None or not math.isfinite(value):
            raise ValueError("the threshold is no number; move its slider again")
        now = now.with_thresholds({**now.thresholds, weights[0]: float(value)})
        self.batches.put(name, now)
        return shown(now, by, picked, sliders=False)

    def look(self, name: str | None, by: str, picked: int | None) -> Page:
        """The batch in another order, or another image of it."""
        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        return shown(now, by, picked, sliders=False)._replace(found=Page().found)

    def _seconds(self, now: Batch, settings: Settings) -> float:
        """How long it may take to judge a batch by other settings; of what was never seen done,
        for ever."""
        if settings.backbone != now.settings.backbone or settings.learn_from or settings.examples:
            return math.inf
        score = SCORES[settings.score]
        if score.needs & MINED or score.learns or settings.shaping.startswith("react:p"):
            return math.inf
        changes = [None if weights == ORIGINAL else settings.recipe for weights in settings.weights]
        name, labels = settings.backbone, settings.labels
        read = [self.library.reading_seconds(name, change, labels) for change in changes]
        seconds = len(now.images) * self.library.pace(name, "picture") + sum(read)
        if self._shipped.find(settings) is None and (paths := threshold_pictures(settings)):
            seconds += len(paths) * self.library.pace(name, "calibration picture")
        return seconds

    def _opening(self, settings: Settings) -> Job[Batch]:
        """The examples' batch, made once for all who ask the same."""
        with self._lock:
            job = self._openings.find(settings)
            if job is None or not job.usable:
                job = self._started(examples(), partial(self._calibrated, settings, RECALL))
                self._openings.put(settings, job)
        return job

    def _started(
        self, paths: list[Path], work: Callable[[list[Path]], Steps[Result]]
    ) -> Job[Result]:
        return self.jobs.start(Job(f"judging {len(paths)} pictures", partial(work, paths)))

    def _shown(self, job: Job[Result], by: str) -> Generator[Page, None, Result]:
        """The job as pages, and its result."""
        yield Page(notice=notices.busy("Getting ready"))
        for progress in job.watching():
            page = Page(notice=notices.busy(*progress))
            if job.events:
                part = shown(job.events[-1], by, None, sliders=False)
                page = page._replace(tally=part.tally, rows=part.rows)
            yield page
        return job.outcome()

    def _again(self, start: Batch, paths: list[Path]) -> Steps[Batch]:
        """The paths by the thresholds that are there."""
        made = yield from detectors(self.library, start.settings)
        return (yield from self._judged(start, made, paths))

    def _calibrated(self, settings: Settings, recall: float, paths: list[Path]) -> Steps[Batch]:
        """The paths by a detector's own threshold, or by thresholds from the shipped pictures,
        where there are any."""
        made = yield from detectors(self.library, settings)
        if settings.opened:
            return (yield from self._judged(with_own(Batch(settings), made), made, paths))
        found = yield from self._shipped_scores(settings, made)
        start = Batch(settings).calibrated(calibrated(made, found, recall) if found else {})
        return (yield from self._judged(start, made, paths))

    def _calibrating(
        self, settings: Settings, own: list[Path] | None, before: Batch | None, recall: float
    ) -> Steps[tuple[Batch, tuple[str, ...]]]:
        """The batch with thresholds anew, judged first where the settings changed; problems."""
        made = yield from detectors(self.library, settings)
        found: dict[str, tuple[float, ...]] | None
        problems: tuple[str, ...] = ()
        if own is not None:
            found, problems = yield from scores(self.library, made, own)
        else:
            found = yield from self._shipped_scores(settings, made)
            if not found:
                raise ValueError(
                    "there are no shipped calibration pictures for these labels and this "
                    f"backbone; choose “{OWN}” and add 20 or more"
                )
        if not any(found.values()):
            raise ValueError(f"no calibration picture could be read: {'; '.join(problems[:3])}")
        now = before
        if now is None or now.settings != settings:
            paths = examples() if now is None else [image.path for image in now.images]
            now = yield from self._judged(Batch(settings), made, paths)
        return replace(now, stale=()).calibrated(calibrated(made, found, recall)), problems

    def _judged(self, now: Batch, made: Detectors, paths: list[Path]) -> Steps[Batch]:
        """The batch with the paths' images, by its own thresholds; it is an event as it grows."""
        now = replace(now, preprocess=next(iter(made.values())).backbone.preprocess)
        began = time.monotonic()
        for step in judged(self.library, made, paths):
            if isinstance(step, Chunk):
                images, problems = now.images + step.images, now.problems + step.problems
                now = replace(now, images=images, problems=problems)
                now = step = now.with_thresholds(now.thresholds)
            yield step
        seconds = (time.monotonic() - began) / len(paths)
        self.library.took(now.settings.backbone, "picture", seconds)
        return now

    def _shipped_scores(
        self, settings: Settings, made: Detectors
    ) -> Steps[dict[str, tuple[float, ...]] | None]:
        """Scores of the shipped calibration pictures by weights; None where there are none."""
        found = self._shipped.find(settings)
        if found is None:
            paths = threshold_pictures(settings)
            if not paths:
                return None
            began = time.monotonic()
            found, _ = yield from scores(self.library, made, paths)
            seconds = (time.monotonic() - began) / len(paths)
            self.library.took(settings.backbone, "calibration picture", seconds)
            self._shipped.put(settings, found)
        return found

    def _kept(self, name: str | None, batch: Batch, by: str, picked: int | None = None) -> Page:
        name = name or self.batches.new_name()
        self.batches.put(name, batch)
        return shown(batch, by, picked)._replace(batch=name)
