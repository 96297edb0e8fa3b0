"""What Search does when it is asked: plain functions of plain values, free of layout.

Every handler returns a `SearchPage`; a ValueError of the core becomes a notice on it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from demo.page import notices
from demo.page.downloads import new_file
from demo.page.events import FORGOTTEN
from demo.search import words
from demo.search.fit import fit, fits, labels_of
from demo.search.job import Search
from demo.search.request import SearchRequest, going_on, read_search, read_trace
from demo.search.view import SearchPage, moved, pictures, whole
from demo.search.work import replayed, search
from demo.server.jobs import Jobs
from demo.server.library import Library
from demo.server.limits import SEARCHES
from setar_core.recipe import Recipe

FULL = "{count} searches are waiting already; try again in a few minutes"


reporting_errors = notices.reporting_errors(lambda notice: SearchPage(state=notice))


class SearchHandlers:
    """Holds the shelves and everyone's searches.

    A browser keeps the name of its search, so that a reload finds it again.
    """

    def __init__(self, library: Library, jobs: Jobs[Search] | None = None) -> None:
        self.library = library
        self.jobs: Jobs[Search] = jobs or Jobs(**SEARCHES._asdict(), full=FULL)

    @reporting_errors
    def search(self, *controls: Any) -> SearchPage:
        """A new search."""
        return self._started(read_search(*controls))

    @reporting_errors
    def estimate(self, *controls: Any) -> SearchPage:
        """Measure the first candidates, to tell how long all of them would take."""
        return self._started(replace(read_search(*controls), only_estimate=True))

    @reporting_errors
    def go_on(self, file: str | None, *controls: Any) -> SearchPage:
        """Continue where a trace ends."""
        return self._started(going_on(read_search(*controls), file))

    @reporting_errors
    def resume(self, name: str | None) -> SearchPage:
        """Go on with a stopped search from its own trace."""
        job = self.jobs.find(name)
        if job is None or job.request is None or not job.resumable:
            raise ValueError("there is no stopped search to resume; press Search for a new one")
        request = job.request
        if request.zip is not None and not request.zip.is_file():
            raise ValueError(
                f"{request.zip.name} is no longer kept here; download the trace, add the zip again "
                "and press Continue"
            )
        return self._whole(self.jobs.start(job))

    @reporting_errors
    def replay(self, file: str | None) -> SearchPage:
        """Look at a trace or at a recipe; nothing is run."""
        text = read_trace(file)
        if _is_recipe(text):
            found = Search(uploaded=Recipe.loads(text))
        else:
            found = Search.replay(replayed(text), text, labels_of(text))
        self.jobs.keep(found)
        return self._whole(found)

    def stop(self, name: str | None) -> SearchPage:
        """End it after the candidate that runs."""
        job = self.jobs.find(name)
        if job is None:
            return SearchPage()
        self.jobs.stop(job)
        return SearchPage(state=words.state(job, []), stop=gr.Button(interactive=False))

    def found(self, stored: object) -> SearchPage:
        """The search that this browser began, when its page opens again."""
        job = self.jobs.find(stored)
        if job is None:
            gone = notices.notice(words.GONE) if stored else None
            page_now = self._whole(None)
            return page_now._replace(state=gone, stored=FORGOTTEN) if gone else page_now
        job.watch()
        return self._whole(job)

    def poll(self, name: str | None, seen: Sequence[Any] | None) -> SearchPage:
        """How far it is; whoever asks keeps it alive."""
        job = self.jobs.find(name)
        if job is None:
            return SearchPage(clock=gr.Timer(active=False))
        job.watch()
        before = self.jobs.before(job)
        if not job.active:
            return self._whole(job)
        if seen is not None and tuple(seen) == job.seen:
            return SearchPage(state=words.state(job, before))
        page_now = moved(job, before)
        if job.ready and not (seen and seen[2]):  # its pictures are there now
            return page_now._replace(pictures=pictures(job))
        return page_now

    def fit(self, name: str | None, backbone: str) -> list:
        """The way to Detect only for what fits the bar's backbone, and in words whether it does."""
        job = self.jobs.find(name)
        right = job is None or fits(self.library, job.backbone, backbone)
        return [gr.Button(visible=right), fit(self.library, job, backbone)]

    def use(self, name: str | None, backbone: str) -> tuple[str, str]:
        """The backbone that the recipe is for (the given one, where it does not say), and the
        title by which every tab can ask for the recipe.

        Raises:
            ValueError: there is none.
        """
        recipe, how = self._recipe(name)
        known = recipe.backbone if recipe.backbone in self.library.backbones() else backbone
        return known, self.library.keep_recipe(recipe, how)

    def saved_recipe(self, name: str | None) -> str:
        """The path of a new file; raises ValueError where there is nothing to save."""
        recipe, how = self._recipe(name)
        short = (recipe.backbone or "backbone").split(":")[-1].replace("/", "-").lower()
        path = new_file(f"{short}-{how}.json")
        recipe.save(path)
        return str(path)

    def saved_trace(self, name: str | None) -> str:
        """The path of a new file; raises ValueError where there is nothing to save."""
        job = self.jobs.find(name)
        if job is None or not job.trials:
            raise ValueError("nothing was searched yet; press Search first")
        path = new_file("trace.jsonl")
        path.write_bytes(job.trace.read_bytes())
        return str(path)

    def _recipe(self, name: str | None) -> tuple[Recipe, str]:
        """The recipe that is shown, and how it came here."""
        job = self.jobs.find(name)
        if job is None or job.recipe is None:
            raise ValueError("nothing was searched yet; press Search first")
        return job.recipe, "searched" if job.trials else "uploaded"

    def _started(self, request: SearchRequest) -> SearchPage:
        job = self.jobs.start(Search(request, partial(search, self.library, request)))
        return self._whole(job)._replace(stored=job.name)

    def _whole(self, job: Search | None) -> SearchPage:
        """Everything anew, with the shipped recipes to compare with."""
        shipped = (
            self.library.recipes(job.request.backbone) if job is not None and job.request else {}
        )
        others = {title: Recipe.load(path) for title, path in shipped.items()}
        return whole(job, [] if job is None else self.jobs.before(job), others)


def _is_recipe(text: str) -> bool:
    """A recipe is one JSON object with ratios, the authors' list of lists, or a configuration of
    theirs."""
    try:
        page = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return False
    if isinstance(page, list):
        return bool(page) and isinstance(page[0], list)
    return isinstance(page, dict) and ("ratios" in page or "lora_svd_init" in page)
