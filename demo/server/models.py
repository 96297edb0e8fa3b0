"""The backbones that are loaded or on their way, by the names that visitors see.

A visitor's choice is fetched up to a limit, one at a time, and takes another's place only once it
has come: a name that leads to nothing costs nobody a loaded backbone.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from demo.server.errand import Errand, Tell

if TYPE_CHECKING:
    from setar_core.backbones import Backbone

KEPT = 1  # loaded ones, besides those that stay
MAX_COMING = 4  # visitors' choices that are being loaded or wait for it
MAX_FETCHED = 2 * 10**9  # bytes of a visitor's choice

_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[^\s/:;,()'\"]+)+/([^\s/:;,()'\"]+)")


class Loadings:
    """A small store shared by every visitor; who started the app has no limits.

    Attributes:
        given: backbones named at the start of the app, by the name that visitors see.
        stay: names that are never forgotten.
        forgotten: told of a name whose backbone is no longer kept.
    """

    def __init__(
        self,
        device: str,
        given: Mapping[str, str],
        stay: Container[str],
        forgotten: Callable[[str], None],
    ) -> None:
        self.device = device
        self.given = given
        self.stay = stay
        self.forgotten = forgotten
        self._errands: OrderedDict[str, Errand[Backbone]] = OrderedDict()
        self._lock = threading.Lock()
        self._one = threading.Lock()

    def open(self, name: str) -> Errand[Backbone]:
        """The errand that loads the backbone, begun in the background when it is not loaded yet.

        Raises:
            ValueError: too many are being loaded.
        """
        with self._lock:
            for failed in [other for other, errand in self._errands.items() if errand.failed]:
                del self._errands[failed]
            if name not in self._errands:
                if not self.is_trusted(name):
                    self._check_line(name)
                self._errands[name] = Errand(partial(self._load, name))
            self._errands.move_to_end(name)
            return self._errands[name]

    def is_ready(self, name: str) -> bool:
        errand = self._errands.get(name)
        return errand is not None and errand.ready

    def is_trusted(self, name: str) -> bool:
        """Whether the start of the app named it, or it is always there."""
        return name in self.given or name in self.stay

    def status(self) -> tuple[list[str], list[str]]:
        """What is loaded, and what is being loaded, in words."""
        with self._lock:
            errands = list(self._errands.items())
        loaded = [name for name, errand in errands if errand.ready]
        return loaded, [f"{name}: {errand.latest}" for name, errand in errands if errand.busy]

    def _check_line(self, name: str) -> None:
        coming = [n for n, e in self._errands.items() if e.busy and not self.is_trusted(n)]
        if len(coming) >= MAX_COMING:
            raise ValueError(
                f"{name[:80]!r} cannot be loaded now: {len(coming)} others are on their way "
                f"({', '.join(coming)}); wait until one has come, or choose one that is loaded"
            )

    def _load(self, name: str, tell: Tell) -> Backbone:
        if self.is_trusted(name):
            loaded = self._read(name, tell, None)
        else:
            if not self._one.acquire(blocking=False):
                tell("waiting until another model is loaded")
                self._one.acquire()
            try:
                loaded = self._read(name, tell, MAX_FETCHED)
            finally:
                self._one.release()
        self._make_room(name)
        return loaded

    def _read(self, name: str, tell: Tell, limit: int | None) -> Backbone:
        tell("preparing the libraries")
        from setar_core.backbones import load_backbone

        tell("reading the weights")
        real = self.given.get(name, name)
        try:
            loaded = load_backbone(
                real, self.device, lambda said: tell(without_folders(said)), limit
            )
        except ValueError as error:
            raise ValueError(without_folders(str(error), real)) from None
        loaded.name = name  # what its messages and recipes say, before anyone has seen it
        return loaded

    def _make_room(self, name: str) -> None:
        with self._lock:
            others = [n for n, e in self._errands.items() if e.ready and n not in self.stay]
            others = [other for other in others if other != name]
            room = KEPT - (name not in self.stay)
            leaving = others[: max(0, len(others) - room)]
            for other in leaving:
                del self._errands[other]
        for other in leaving:
            self.forgotten(other)


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
