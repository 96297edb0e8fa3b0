"""A search as a job; a trace or a recipe to look at is kept like a search that is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from demo.search.request import SearchRequest
from demo.search.work import Ready
from demo.server.jobs import FAILED, FINISHED, STOPPED, Job, Steps

if TYPE_CHECKING:
    from setar_core.recipe import Recipe
    from setar_core.search.trial import Trial


class Search(Job[None]):
    """What was asked, and every trial so far.

    `uploaded` is a recipe that was not searched here, and then the only thing to look at; `labels`
    are those of a trace, in words, where it tells.
    """

    def __init__(
        self,
        request: SearchRequest | None = None,
        work: Callable[[Path], Steps[None]] | None = None,
        uploaded: Recipe | None = None,
    ) -> None:
        super().__init__("the search", None if work is None else lambda: work(self.trace))
        self.request = request
        self.uploaded = uploaded
        self.labels = ""

    @classmethod
    def replay(cls, trials: Sequence[Trial], text: str, labels: str) -> Search:
        """The trials of a trace; nothing is run."""
        search = cls()
        search.events, search.labels = list(trials), labels
        search.trace.write_text(text, encoding="utf-8")
        return search

    @property
    def ready(self) -> Ready | None:
        first = self.events[0] if self.events else None
        return first if isinstance(first, Ready) else None

    @property
    def trials(self) -> list[Trial]:
        return self.events[1:] if self.ready else self.events

    @property
    def is_replay(self) -> bool:
        return self.request is None and self.uploaded is None

    @property
    def is_estimate(self) -> bool:
        """Whether it is over and tells no more than how long a search would take."""
        return self.request is not None and self.request.only_estimate and self.state == FINISHED

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
    def trace(self) -> Path:
        return self.folder / "trace.jsonl"
