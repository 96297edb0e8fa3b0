"""A training as a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from demo.finetune.held import Epoch
from demo.finetune.request import TrainingRequest
from demo.finetune.work import Memory, Point, Ready
from demo.server.jobs import FAILED, FINISHED, STOPPED, Job, Steps

if TYPE_CHECKING:
    from setar_core.adapter import Adapter


class Training(Job[None]):
    """What was asked, and every step and epoch so far."""

    def __init__(
        self,
        request: TrainingRequest,
        work: Callable[[TrainingRequest, Memory, Path], Steps[None]],
    ) -> None:
        super().__init__("the training", lambda: work(request, self.memory, self.folder))
        self.request = request
        self.memory = Memory()

    @property
    def ready(self) -> Ready | None:
        return next((event for event in self.events if isinstance(event, Ready)), None)

    @property
    def points(self) -> list[Point]:
        return [event for event in self.events if isinstance(event, Point)]

    @property
    def epochs(self) -> list[Epoch]:
        return [event for event in self.events if isinstance(event, Epoch)]

    @property
    def is_estimate(self) -> bool:
        """Whether it is over and tells no more than how long a training would take."""
        return self.request.only_estimate and self.state == FINISHED

    @property
    def adapter(self) -> Adapter | None:
        """What was trained until the last epoch that was judged."""
        return self.epochs[-1].adapter if self.epochs else None

    @property
    def resumable(self) -> bool:
        """Whether it was stopped, or broke off, with something trained."""
        return self.state in (STOPPED, FAILED) and self.memory.state is not None
