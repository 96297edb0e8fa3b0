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
from demo.detect.batch import Batch, Teachers
from demo.detect.controls import OWN
from demo.detect.judging import (
    Chunk,
    Detectors,
    Found,
    calibrated,
    check_batch,
    detectors,
    judged,
    scores,
    with_own,
)
from demo.detect.view import Page, asking, reporting_errors, shown
from demo.page import notices
from demo.page.words import left_out
from demo.server.jobs import Job, Jobs, Steps
from demo.server.library import Library
from demo.server.limits import JUDGING, KEPT_BATCHES, KEPT_CALIBRATIONS
from demo.server.request import RECALL, read_settings
from demo.server.settings import ORIGINAL, Settings
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
        self._shipped = Store[dict[str, tuple[float, ...]]](KEPT_CALIBRATIONS)  # by weights' own
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
        paths = paths or self.library.pictures
        check_batch(paths)
        if (
            before is not None
            and before.settings == settings
            and not before.stale
            and before.thresholds
        ):
            start = replace(before, images=(), problems=())
            job = self._started(paths, partial(self._again, start))
        elif before is not None and before.teachers and before.settings.shares_labels(settings):
            job = self._started(
                paths, partial(self._taught_anew, settings, recall, before.teachers)
            )
        elif paths == self.library.pictures and recall == RECALL:
            job = self._opening(settings)
        else:
            job = self._started(paths, partial(self._calibrated, settings, recall))
        return (yield from self._shown(job, by))

    @reporting_errors
    def calibrate(
        self,
        source: str,
        files: Sequence[str] | None,
        foreign: Sequence[str] | None,
        name: str | None,
        by: str,
        picked: int | None,
        recall: float,
        *controls: Any,
    ) -> Iterator[Page]:
        """Find both thresholds on the shipped pictures or on the visitor's own; of those that show
        none of the labels it is told how many are accepted by mistake."""
        settings = read_settings(self.library, *controls)
        if source == OWN and not files:
            raise ValueError(
                "no calibration picture is here; add pictures of your own that show your labels, "
                "better 20 or more"
            )
        own = None
        if source == OWN:
            own = Teachers(tuple(map(Path, files or ())), tuple(map(Path, foreign or ())))
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
        yield from self.judge(files or [str(path) for path in self.library.pictures], *controls)

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
            return asking(notices.failure(error))
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
            return asking(notices.notice(GONE, "warn"))
        every = {
            weights: {
                score: calibrate(line.scores, recall, line.context) for score, line in found.items()
            }
            for weights, found in now.every.items()
        }
        return self._kept(name, now.calibrated(every), by, picked)

    def line_moved(
        self, place: int, value: float | None, name: str | None, by: str, picked: int | None
    ) -> Page:
        """A threshold set by hand; asks no network."""
        now = self.batches.find(name)
        if now is None:
            return asking(notices.notice(GONE, "warn"))
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
            return asking(notices.notice(GONE, "warn"))
        return shown(now, by, picked, sliders=False)._replace(found=Page().found)

    def look_at(self, name: str | None, by: str, path: Path) -> Page:
        """The image of that file."""
        now = self.batches.find(name)
        places = [i for i, image in enumerate(now.images) if image.path == path] if now else []
        return self.look(name, by, places[-1] if places else None)

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
        unknown = sum(self._shipped.find(own) is None for own in settings.alone.values())
        if now.teachers:
            count = sum(map(len, now.teachers))
            seconds += count * self.library.pace(name, "calibration picture")
        elif unknown and (paths := threshold_pictures(settings)):
            seconds += len(paths) * self.library.pace(name, "calibration picture")
        return seconds

    def _opening(self, settings: Settings) -> Job[Batch]:
        """The examples' batch, made once for all who ask the same."""
        with self._lock:
            job = self._openings.find(settings)
            if job is None or not job.usable:
                job = self._started(
                    self.library.pictures, partial(self._calibrated, settings, RECALL)
                )
                self._openings.put(settings, job)
        return job

    def _started(
        self, paths: list[Path], work: Callable[[list[Path]], Steps[Result]]
    ) -> Job[Result]:
        return self.jobs.start(Job(f"judging {len(paths)} pictures", partial(work, paths)))

    def _shown(self, job: Job[Result], by: str) -> Generator[Page, None, Result]:
        """The job as pages, and its result."""
        if job.active:
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
        start = Batch(settings)
        start = calibrated(start, made, found, recall) if found else start
        return (yield from self._judged(start, made, paths))

    def _taught_anew(
        self, settings: Settings, recall: float, teachers: Teachers, paths: list[Path]
    ) -> Steps[Batch]:
        """The paths by thresholds from the pictures that taught the batch before."""
        made = yield from detectors(self.library, settings)
        start, _ = yield from self._taught(Batch(settings), made, teachers, recall)
        return (yield from self._judged(start, made, paths))

    def _taught(
        self, batch: Batch, made: Detectors, teachers: Teachers, recall: float
    ) -> Steps[tuple[Batch, tuple[str, ...]]]:
        """The batch by thresholds from a visitor's own pictures, and what went wrong."""
        found, problems = yield from scores(self.library, made, teachers.known)
        if not all(found.values()):
            raise ValueError(f"no calibration picture could be read: {'; '.join(problems[:3])}")
        foreign: Found = {}
        if teachers.foreign:
            foreign, others = yield from scores(self.library, made, teachers.foreign)
            problems += others
        batch = replace(batch, stale=(), teachers=teachers, foreign=foreign)
        return calibrated(batch, made, found, recall), problems

    def _calibrating(
        self, settings: Settings, own: Teachers | None, before: Batch | None, recall: float
    ) -> Steps[tuple[Batch, tuple[str, ...]]]:
        """The batch with thresholds anew, judged first where the settings changed; problems."""
        made = yield from detectors(self.library, settings)
        found: Found | None = None
        if own is None:
            found = yield from self._shipped_scores(settings, made)
            if not found:
                raise ValueError(
                    "there are no shipped calibration pictures for these labels and this "
                    f"backbone; choose “{OWN}” and add 20 or more"
                )
        now = before
        if now is None or now.settings != settings:
            paths = self.library.pictures if now is None else [image.path for image in now.images]
            now = yield from self._judged(Batch(settings), made, paths)
        if own is not None:
            return (yield from self._taught(now, made, own, recall))
        now = replace(now, stale=(), teachers=None, foreign={})
        return calibrated(now, made, found or {}, recall), ()

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

    def _shipped_scores(self, settings: Settings, made: Detectors) -> Steps[Found | None]:
        """Scores of the shipped calibration pictures by weights; None where there are none.

        Those of weights that were met before are not computed again.
        """
        paths, each = threshold_pictures(settings), settings.alone
        if not paths:
            return None
        kept = {weights: self._shipped.find(own) for weights, own in each.items()}
        found = {weights: known for weights, known in kept.items() if known is not None}
        unknown = {weights: made[weights] for weights in each if weights not in found}
        if unknown:
            began = time.monotonic()
            now, _ = yield from scores(self.library, unknown, paths)
            seconds = (time.monotonic() - began) / len(paths)
            self.library.took(settings.backbone, "calibration picture", seconds)
            for weights, by_score in now.items():
                self._shipped.put(each[weights], by_score)
            found |= now
        return found

    def _kept(self, name: str | None, batch: Batch, by: str, picked: int | None = None) -> Page:
        before, name = self.batches.find(name), name or self.batches.new_name()
        if before is not None and before.known:
            batch = replace(batch, known=before.known)
        self.batches.put(name, batch)
        return shown(batch, by, picked)._replace(batch=name)
