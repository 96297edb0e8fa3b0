"""What Fine-tune does when it is asked: plain functions of plain values, free of layout.

Every handler returns a `TrainingPage`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from demo.finetune import words
from demo.finetune.job import Training
from demo.finetune.request import TrainingRequest, read_training
from demo.finetune.view import TrainingPage, moved, whole
from demo.finetune.work import train
from demo.page import notices
from demo.page.downloads import new_file
from demo.page.events import FORGOTTEN
from demo.server.jobs import Jobs
from demo.server.library import Library
from demo.server.limits import TRAININGS

if TYPE_CHECKING:
    from setar_core.adapter import Adapter

reporting_errors = notices.reporting_errors(lambda notice: TrainingPage(state=notice))


class TrainingHandlers:
    """Holds the shelves and everyone's trainings.

    A browser keeps the name of its training, so that a reload finds it again.
    """

    def __init__(self, library: Library, jobs: Jobs[Training] | None = None) -> None:
        self.library = library
        self.jobs: Jobs[Training] = jobs or Jobs(**TRAININGS._asdict(), full=words.FULL)

    @reporting_errors
    def train(self, *controls: Any) -> TrainingPage:
        """A new training."""
        return self._started(read_training(self.library, *controls))

    @reporting_errors
    def estimate(self, *controls: Any) -> TrainingPage:
        """Make the first steps, to tell how long all of them would take."""
        return self._started(read_training(self.library, *controls, only_estimate=True))

    @reporting_errors
    def resume(self, name: str | None) -> TrainingPage:
        """Go on with a stopped training, to the same end as if it had not been stopped."""
        job = self.jobs.find(name)
        if job is None or not job.resumable:
            raise ValueError("there is no stopped training to resume; press Train for a new one")
        return self._whole(self.jobs.start(job))

    def stop(self, name: str | None) -> TrainingPage:
        """End it after the step that runs."""
        job = self.jobs.find(name)
        if job is None:
            return TrainingPage()
        self.jobs.stop(job)
        return TrainingPage(state=words.state(job, []), stop=gr.Button(interactive=False))

    def found(self, stored: object) -> TrainingPage:
        """The training that this browser began, when its page opens again."""
        job = self.jobs.find(stored)
        if job is None:
            gone = notices.notice(words.GONE) if stored else None
            page = self._whole(None)
            return page._replace(state=gone, stored=FORGOTTEN) if gone else page
        job.watch()
        return self._whole(job)

    def poll(self, name: str | None, seen: Sequence[Any] | None) -> TrainingPage:
        """How far it is; whoever asks keeps it alive."""
        job = self.jobs.find(name)
        if job is None:
            return TrainingPage(clock=gr.Timer(active=False))
        job.watch()
        before = self.jobs.before(job)
        if not job.active:
            return self._whole(job)
        if seen is not None and tuple(seen) == job.seen:
            return TrainingPage(state=words.state(job, before))
        return moved(job, before)

    def use(self, name: str | None) -> tuple[str, str]:
        """The backbone that was trained, and the title by which every tab can ask for it.

        Raises:
            ValueError: there is none.
        """
        job, adapter = self._trained(name)
        title = self.library.keep_recipe(adapter, job.request.plan.title)
        return job.request.settings.backbone, title

    def saved(self, name: str | None) -> str:
        """The path of a new file; raises ValueError where there is nothing to save."""
        job, adapter = self._trained(name)
        short = job.request.settings.backbone.split(":")[-1].replace("/", "-").lower()
        path = new_file(f"{short}-{job.request.preset}.safetensors")
        adapter.save(path)
        return str(path)

    def _trained(self, name: str | None) -> tuple[Training, Adapter]:
        job = self.jobs.find(name)
        if job is None or job.adapter is None:
            raise ValueError("nothing was trained yet; press Train first")
        return job, job.adapter

    def _started(self, request: TrainingRequest) -> TrainingPage:
        job = self.jobs.start(Training(request, partial(train, self.library)))
        return self._whole(job)._replace(stored=job.name)

    def _whole(self, job: Training | None) -> TrainingPage:
        return whole(job, [] if job is None else self.jobs.before(job))
