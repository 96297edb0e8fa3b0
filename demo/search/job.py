"""One visitor's search, or a trace or recipe to look at: how far it is, and who looks on."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from demo.search.request import SearchRequest
from demo.search.work import Ready

if TYPE_CHECKING:
    from setar_core.recipe import Recipe
    from setar_core.search.trial import Trial

WAITING, PREPARING, SEARCHING = "waiting", "preparing", "searching"
FINISHED, STOPPED, FAILED, ESTIMATED, REPLAY = (
    "finished",
    "stopped",
    "failed",
    "estimated",
    "replay",
)
RECIPE = "recipe"  # an uploaded one to look at  # fmt: skip
ACTIVE = (WAITING, PREPARING, SEARCHING)
ORPHANED = 30.0  # seconds without a page

Clock = Callable[[], float]


class Job:
    """One search: what was asked, how far it is, and every trial so far.

    `uploaded` is a recipe that was not searched here, and then the only thing to look at; `labels`
    are those of a trace, in words, where it tells.
    """

    def __init__(self, request: SearchRequest | None, clock: Clock) -> None:
        self.name = secrets.token_urlsafe(18)
        self.request = request
        self.state = WAITING
        self.sentence = ""
        self.problem = ""
        self.ready: Ready | None = None
        self.trials: list[Trial] = []
        self.uploaded: Recipe | None = None
        self.labels = ""
        self.began: float | None = None
        self.ended: float | None = None
        self.orphaned = False
        self.folder = Path(tempfile.mkdtemp(prefix="search-"))
        self._clock = clock
        self._watchers: set[str] = set()
        self._left = clock()
        self._stop = threading.Event()

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def backbone(self) -> str | None:
        """What was searched, or what the trace or recipe says that it is for."""
        if self.request is not None:
            return self.request.backbone
        return None if self.recipe is None else self.recipe.backbone

    @property
    def recipe(self) -> Recipe | None:
        """The best so far, or the one that was uploaded."""
        return self.trials[-1].recipe if self.trials else self.uploaded

    @property
    def resumable(self) -> bool:
        """Whether it was stopped, or broke off, with something found."""
        return self.state in (STOPPED, FAILED) and bool(self.trials)

    @property
    def stopping(self) -> bool:
        return self.active and self._stop.is_set()

    @property
    def trace(self) -> Path:
        return self.folder / "trace.jsonl"

    @property
    def elapsed(self) -> float:
        """Seconds since it began to search, until it ended."""
        if self.began is None:
            return 0.0
        return (self._clock() if self.ended is None else self.ended) - self.began

    @property
    def seen(self) -> tuple:
        """Changes whenever a page has something new to show."""
        return (self.state, self.sentence, len(self.trials), self.stopping)

    def watch(self, page: str) -> None:
        """A page looks on."""
        self._watchers.add(page)
        self._left = self._clock()

    def leave(self, page: str) -> None:
        """A page is closed, or shows something else now."""
        if page in self._watchers:
            self._watchers.discard(page)
            self._left = self._clock()

    def stop(self) -> None:
        self._stop.set()

    def wanted(self) -> bool:
        """False once it was stopped, or every page has been gone for too long."""
        if not self._watchers and self._clock() - self._left > ORPHANED:
            self.orphaned = True
            self._stop.set()
        return not self._stop.is_set()

    def tell(self, sentence: str) -> None:
        self.sentence = sentence
