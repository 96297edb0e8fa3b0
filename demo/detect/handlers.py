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
from demo.detect.batch import Sheet
from demo.detect.controls import OWN
from demo.detect.judging import (
    Detectors,
    Judged,
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
from demo.server.request import RECALL, Ask, read_ask
from demo.server.store import Store

GONE = "These verdicts are no longer kept on the server. Press Judge to make them again."
KEPT_CALIBRATIONS = 16
KEPT_SHEETS = 100


class DetectHandlers:
    """Holds the shelves, the judged sheets, and scores of the shipped calibration pictures."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.sheets = Store[Sheet](KEPT_SHEETS)
        self._shipped: dict[tuple, dict[str, tuple[float, ...]]] = {}
        self._opening: tuple[Ask, Errand[Sheet]] | None = None
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
        """Judge the given files, or else the sheet's own, or else the examples."""
        ask = read_ask(self.library, *controls)
        before = self.sheets.find(name)
        paths = [Path(file) for file in files or ()]
        if not paths and before is not None:
            paths = [entry.path for entry in before.entries]
        paths = paths or examples()
        check_batch(paths)
        if before is not None and before.ask == ask and not before.void and before.thresholds:
            made = yield from self._made(ask)
            start = replace(before, entries=(), problems=())
            now = yield from self._judged(start, made, paths, by)
        elif paths == examples() and recall == RECALL:
            now = yield from self._opened(ask)
        else:
            now = yield from self._calibrated(ask, paths, recall, by)
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
        ask = read_ask(self.library, *controls)
        made = yield from self._made(ask)
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
            found = yield from self._shipped_scores(ask, made)
            if not found:
                raise ValueError(
                    "there are no shipped calibration pictures for these labels and this "
                    f"backbone; choose “{OWN}” and add 20 or more"
                )
        if not any(found.values()):
            raise ValueError(f"no calibration picture could be read: {'; '.join(problems[:3])}")
        now = self.sheets.find(name)
        if now is None or now.ask != ask:
            paths = examples() if now is None else [entry.path for entry in now.entries]
            now = yield from self._judged(Sheet(ask), made, paths, by)
        now = replace(now, void=()).calibrated(calibrated(made, found, recall))
        page = self._kept(name, now, by, picked)
        if problems:
            left = notices.notice("Some calibration files were left out.", "bad", problems)
            page = page._replace(notice=page.notice + left)
        yield page

    def judge_again(
        self, files: Sequence[str] | None, name: str | None, *controls: Any
    ) -> Iterator[Page]:
        """Judge what is shown; the files where that is them, or nothing is shown."""
        before = self.sheets.find(name)
        here = set() if before is None else {str(entry.path) for entry in before.entries}
        yield from self.judge(files if here <= set(files or ()) else None, name, *controls)

    def judge_left(self, files: Sequence[str] | None, *controls: Any) -> Iterator[Page]:
        """A file was taken off the list: judge what is left, the examples where nothing is."""
        yield from self.judge(files or [str(path) for path in examples()], *controls)

    def asked_after(self, said: str, *controls: Any) -> Page:
        """As `asked`, under what is wrong with the choice that was just made."""
        page = self.asked(*controls)
        if "notice bad" not in (said or ""):
            return page
        more = page.notice if isinstance(page.notice, str) and page.notice not in said else ""
        return page._replace(notice=said + more)

    def asked(self, name: str | None, by: str, picked: int | None, *controls: Any) -> Page:
        """A control was changed: a threshold that no longer holds is void, and the page says so.

        Where the change is taken back, the thresholds that were found hold again.
        """
        now = self.sheets.find(name)
        if now is None:
            return Page()
        try:
            ask = read_ask(self.library, *controls)
        except ValueError as error:
            return Page(notice=notices.notice(str(error), "bad"))
        void = tuple(ask.changed(now.ask))
        if void == now.void:
            return Page(notice=words.of_sheet(now))
        return self._kept(name, now.voided(void), by, picked)

    def recall_moved(self, recall: float, name: str | None, by: str, picked: int | None) -> Page:
        """Another recall on the calibration scores that are kept; asks no network."""
        from setar_core.threshold import calibrate

        now = self.sheets.find(name)
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
        now = self.sheets.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        if now.void:
            return Page(notice=words.of_sheet(now))
        now = now.with_thresholds({**now.thresholds, weights: float(value)})
        self.sheets.put(name, now)
        return shown(now, by, picked, sliders=False)

    def look(self, name: str | None, by: str, picked: int | None) -> Page:
        """The sheet in another order, or another image of it."""
        now = self.sheets.find(name)
        if now is None:
            return Page(notice=notices.notice(GONE, "warn"))
        return shown(now, by, picked, sliders=False)._replace(found=Page().found)

    def _opened(self, ask: Ask) -> Iterator[Page]:
        """Progress as pages; returns the examples' sheet, made once for all who ask the same."""
        with self._lock:
            if self._opening is None or self._opening[0] != ask or self._opening[1].failed:
                self._opening = (ask, Errand(partial(self._open, ask)))
            errand = self._opening[1]
        for notice in errand.sentences():
            yield Page(notice=notice)
        return errand.result()

    def _open(self, ask: Ask, tell: Tell) -> Sheet:
        steps = self._calibrated(ask, examples(), RECALL, "score")
        while True:
            try:
                tell(next(steps).notice)
            except StopIteration as end:
                return end.value

    def _calibrated(self, ask: Ask, paths: list[Path], recall: float, by: str) -> Iterator[Page]:
        """As `_judged`, by thresholds from the shipped pictures where there are any."""
        made = yield from self._made(ask)
        found = yield from self._shipped_scores(ask, made)
        start = Sheet(ask).calibrated(calibrated(made, found, recall) if found else {})
        return (yield from self._judged(start, made, paths, by))

    def _made(self, ask: Ask) -> Iterator[Page]:
        """Progress as pages; returns the detectors."""
        yield Page(notice=notices.busy("Getting ready"))
        return (yield from result_of(detectors(self.library, ask)))

    def _judged(self, now: Sheet, made: Detectors, paths: list[Path], by: str) -> Iterator[Page]:
        """Progress as pages; returns the sheet with the paths' entries, by its own thresholds."""
        now = replace(now, preprocess=next(iter(made.values())).backbone.preprocess)
        for step in judged(self.library, made, paths):
            if isinstance(step, Judged):
                entries, problems = now.entries + step.entries, now.problems + step.problems
                now = replace(now, entries=entries, problems=problems)
                now = now.with_thresholds(now.thresholds)
                continue
            page = Page(notice=notices.busy(*step))
            if now.entries:
                part = shown(now, by, None, sliders=False)
                page = page._replace(tally=part.tally, rows=part.rows)
            yield page
        return now

    def _shipped_scores(self, ask: Ask, made: Detectors) -> Iterator[Page]:
        """Scores of the shipped calibration pictures by weights; None where there are none."""
        key = tuple(detector.context for detector in made.values())
        if key not in self._shipped:
            paths = shipped_calibration(ask.backbone, ask.labels)
            if not paths:
                return None
            found, _ = yield from result_of(scores(self.library, made, paths))
            while len(self._shipped) >= KEPT_CALIBRATIONS:
                self._shipped.pop(next(iter(self._shipped)))
            self._shipped[key] = found
        return self._shipped[key]

    def _kept(self, name: str | None, sheet: Sheet, by: str, picked: int | None = None) -> Page:
        name = name or self.sheets.new_name()
        self.sheets.put(name, sheet)
        return shown(sheet, by, picked)._replace(sheet=name)
