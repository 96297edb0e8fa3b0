"""What Detect does when it is asked: plain functions of plain values, free of layout.

Every handler returns or yields a `Page`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

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
)
from demo.detect.view import Page, result_of, shown, telling
from demo.page import notices
from demo.server.errand import Errand, Tell
from demo.server.library import Library, examples, shipped_calibration
from demo.server.request import RECALL, Settings, read_settings
from demo.server.store import Store

GONE = "These verdicts are no longer kept on the server. Press Judge to make them again."
KEPT_CALIBRATIONS = 16
KEPT_BATCHES = 100


class DetectHandlers:
    """Holds the shelves, the judged batches, and scores of the shipped calibration pictures."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.batches = Store[Batch](KEPT_BATCHES)
        self._shipped: dict[tuple, dict[str, tuple[float, ...]]] = {}
        self._opening: tuple[Settings, Errand[Batch]] | None = None
        self._lock = threading.Lock()

    @telling
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
        before = self.batches.find(name)
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
            made = yield from self._made(settings)
            start = replace(before, images=(), problems=())
            now = yield from self._judged(start, made, paths, by)
        elif paths == examples() and recall == RECALL:
            now = yield from self._opened(settings)
        else:
            now = yield from self._calibrated(settings, paths, recall, by)
        yield self._kept(name, now, by)

    @telling
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
        made = yield from self._made(settings)
        problems: tuple[str, ...] = ()
        if source == OWN:
            if not files:
                raise ValueError(
                    "no calibration picture is here; add pictures of your own that show your "
                    "labels, better 20 or more"
                )
            paths = [Path(file) for file in files]
            found, problems = yield from result_of(scores(self.library, made, paths))
        else:
            found = yield from self._shipped_scores(settings, made)
            if not found:
                raise ValueError(
                    "there are no shipped calibration pictures for these labels and this "
                    f"backbone; choose “{OWN}” and add 20 or more"
                )
        if not any(found.values()):
            raise ValueError(f"no calibration picture could be read: {'; '.join(problems[:3])}")
        now = self.batches.find(name)
        if now is None or now.settings != settings:
            paths = examples() if now is None else [image.path for image in now.images]
            now = yield from self._judged(Batch(settings), made, paths, by)
        now = replace(now, stale=()).calibrated(calibrated(made, found, recall))
        page = self._kept(name, now, by, picked)
        if problems:
            left = notices.notice("Some calibration files were left out.", "bad", problems)
            page = page._replace(notice=page.notice + left)
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

    def choice_made(self, said: str, *controls: Any) -> Page:
        """As `settings_changed`, under what is wrong with the choice that was just made."""
        page = self.settings_changed(*controls)
        if "notice bad" not in (said or ""):
            return page
        more = page.notice if isinstance(page.notice, str) and page.notice not in said else ""
        return page._replace(notice=said + more)

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
            return Page(notice=notices.notice(str(error), "bad"))
        stale = tuple(settings.changed(now.settings))
        if stale == now.stale:
            return Page(notice=words.of_batch(now))
        return self._kept(name, now.outdated_by(stale), by, picked)

    def recall_moved(self, recall: float, name: str | None, by: str, picked: int | None) -> Page:
        """Another recall on the calibration scores that are kept; asks no network."""
        from setar_core.threshold import calibrate

        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        calibration = {
            weights: calibrate(found.scores, recall, found.context)
            for weights, found in now.calibration.items()
        }
        return self._kept(name, now.calibrated(calibration), by, picked)

    def line_moved(
        self, weights: str, value: float, name: str | None, by: str, picked: int | None
    ) -> Page:
        """A threshold set by hand; asks no network."""
        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        if now.stale:
            return Page(notice=words.of_batch(now))
        now = now.with_thresholds({**now.thresholds, weights: float(value)})
        self.batches.put(name, now)
        return shown(now, by, picked, sliders=False)

    def look(self, name: str | None, by: str, picked: int | None) -> Page:
        """The batch in another order, or another image of it."""
        now = self.batches.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        return shown(now, by, picked, sliders=False)._replace(found=Page().found)

    def _opened(self, settings: Settings) -> Iterator[Page]:
        """Progress as pages; returns the examples' batch, made once for all who ask the same."""
        with self._lock:
            if self._opening is None or self._opening[0] != settings or self._opening[1].failed:
                self._opening = (settings, Errand(partial(self._open, settings)))
            errand = self._opening[1]
        for notice in errand.sentences():
            yield Page(notice=notice)
        return errand.result()

    def _open(self, settings: Settings, tell: Tell) -> Batch:
        steps = self._calibrated(settings, examples(), RECALL, "score")
        while True:
            try:
                tell(next(steps).notice)
            except StopIteration as end:
                return end.value

    def _calibrated(
        self, settings: Settings, paths: list[Path], recall: float, by: str
    ) -> Iterator[Page]:
        """As `_judged`, by thresholds from the shipped pictures where there are any."""
        made = yield from self._made(settings)
        found = yield from self._shipped_scores(settings, made)
        start = Batch(settings).calibrated(calibrated(made, found, recall) if found else {})
        return (yield from self._judged(start, made, paths, by))

    def _made(self, settings: Settings) -> Iterator[Page]:
        """Progress as pages; returns the detectors."""
        yield Page(notice=notices.busy("Getting ready"))
        return (yield from result_of(detectors(self.library, settings)))

    def _judged(self, now: Batch, made: Detectors, paths: list[Path], by: str) -> Iterator[Page]:
        """Progress as pages; returns the batch with the paths' images, by its own thresholds."""
        now = replace(now, preprocess=next(iter(made.values())).backbone.preprocess)
        for step in judged(self.library, made, paths):
            if isinstance(step, Chunk):
                images, problems = now.images + step.images, now.problems + step.problems
                now = replace(now, images=images, problems=problems)
                now = now.with_thresholds(now.thresholds)
                continue
            page = Page(notice=notices.busy(*step))
            if now.images:
                part = shown(now, by, None, sliders=False)
                page = page._replace(tally=part.tally, rows=part.rows)
            yield page
        return now

    def _shipped_scores(self, settings: Settings, made: Detectors) -> Iterator[Page]:
        """Scores of the shipped calibration pictures by weights; None where there are none."""
        key = tuple(detector.context for detector in made.values())
        if key not in self._shipped:
            paths = shipped_calibration(settings.backbone, settings.labels)
            if not paths:
                return None
            found, _ = yield from result_of(scores(self.library, made, paths))
            while len(self._shipped) >= KEPT_CALIBRATIONS:
                self._shipped.pop(next(iter(self._shipped)))
            self._shipped[key] = found
        return self._shipped[key]

    def _kept(self, name: str | None, batch: Batch, by: str, picked: int | None = None) -> Page:
        name = name or self.batches.new_name()
        self.batches.put(name, batch)
        return shown(batch, by, picked)._replace(batch=name)
