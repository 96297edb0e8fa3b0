"""The backbones that are loaded or on their way, by the names that visitors see.

A visitor's choice is fetched up to a limit, one at a time, and takes another's place only once it
has come: a name that leads to nothing costs nobody a loaded backbone.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from demo.server.jobs import FINISHED, Job, Jobs, Progress, Steps, reporting
from demo.server.limits import KEPT_CHOSEN, LOADS, MAX_FETCHED
from demo.server.store import Store

if TYPE_CHECKING:
    from setar_core.backbones import Backbone

ON = " @ "  # after a backbone's name: the device that it runs on, where there are several

_OF_FOLDERS = re.compile(r", local-dir:PATH (and|or) timm:local-dir:PATH")
_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[^\s/:;,()'\"]+)+/([^\s/:;,()'\"]+)")


class ModelStore:
    """Shared by every visitor; who started the app has no limits.

    Attributes:
        devices: where backbones run; one that names no device runs on the first.
        given: backbones named at the start of the app, by the name that visitors see.
        stay: names that are never forgotten.
        titles: what people call a device, once something is loaded there.
        forgotten: told of a name whose backbone is no longer kept.
    """

    def __init__(
        self,
        devices: Sequence[str],
        given: Mapping[str, str],
        stay: Collection[str],
        forgotten: Callable[[str], None],
    ) -> None:
        self.devices = devices
        self.given = given
        self.stay = stay
        self.forgotten = forgotten
        self.titles: dict[str, str] = {}
        self._loads: dict[str, Job[Backbone]] = {}
        self._others = Store[str](KEPT_CHOSEN, self._forget)  # loaded, and may make room
        self._trusted: Jobs[Job[Backbone]] = Jobs(at_once=math.inf, longest=math.inf, lasting=True)
        self._visitors: Jobs[Job[Backbone]] = Jobs(
            **LOADS._asdict(),
            full="{title!r} cannot be loaded now: {count} others are on their way ({titles}); wait "
            "until one has come, or choose one that is loaded",
            waiting="waiting until another model is loaded",
            lasting=True,
        )
        self._lock = threading.RLock()

    def open(self, name: str) -> Job[Backbone]:
        """The load of the backbone, begun in the background where it is not loaded yet.

        Raises:
            ValueError: too many are being loaded.
        """
        with self._lock:
            self._loads = {other: job for other, job in self._loads.items() if job.usable}
            if name not in self._loads:
                jobs = self._trusted if self.is_trusted(name) else self._visitors
                self._loads[name] = jobs.start(Job(name, partial(self._load, name)))
            self._others.find(name)
            return self._loads[name]

    def is_loaded(self, name: str) -> bool:
        job = self._loads.get(name)
        return job is not None and job.state == FINISHED

    def is_trusted(self, name: str) -> bool:
        """Whether the start of the app named it, or it is always there."""
        return model_of(name) in {*self.given, *self.stay}

    def real(self, name: str) -> str:
        """What is loaded by that name."""
        model = model_of(name)
        return self.given.get(model, model)

    def status(self) -> tuple[list[str], list[str]]:
        """What is loaded, and what is being loaded, in words."""
        with self._lock:
            jobs = list(self._loads.values())
        loaded = [job.title for job in jobs if job.state == FINISHED]
        return loaded, [f"{job.title}: {job.progress.sentence}" for job in jobs if job.active]

    def _load(self, name: str) -> Steps[Backbone]:
        yield Progress("preparing the libraries")
        from setar_core.backbones import load_backbone
        from setar_core.backbones.device import title

        model, real = model_of(name), self.real(name)
        device = name.partition(ON)[2] or self.devices[0]
        limit = None if self.is_trusted(name) else MAX_FETCHED
        try:
            loaded = yield from reporting(
                "reading the weights",
                lambda report: load_backbone(
                    real, device, lambda said: report(without_folders(said)), limit
                ),
            )
        except ValueError as error:
            said = without_folders(str(error), real)
            # A visitor names no folder.
            raise ValueError(_OF_FOLDERS.sub("", said) if limit else said) from None
        self.titles[device] = title(device)
        loaded.name = model  # what its messages and recipes say, before anyone has seen it
        if name not in self.stay:
            self._others.put(name, name)
        return loaded

    def _forget(self, name: str) -> None:
        with self._lock:
            self._loads.pop(name, None)
        self.forgotten(name)


def model_of(name: str | None) -> str:
    """A backbone's name without the device that it runs on."""
    return (name or "").partition(ON)[0]


def shown_name(name: str) -> str:
    """A backbone's name without the folders of this server."""
    prefix, mark, path = name.partition("local-dir:")
    return f"{prefix}{mark}{Path(path).name}" if mark else name


def without_folders(text: str, name: str = "") -> str:
    """A message without the folders of this server; `name` is the backbone it is about."""
    folder = name.partition("local-dir:")[2]
    for path in (str(Path(folder).expanduser()), folder) if folder else ():
        text = text.replace(path, Path(folder).name)
    return _FOLDERS.sub(r"\1", text)
