"""Work on a card that is lent for some seconds at a time, as a Space with ZeroGPU lends it.

There a function runs in a forked process, which later calls take up again and which is ended when
its seconds are over; it shares no lock, thread or loaded backbone with this one. So only bytes
pass: what is to be done goes there by the names of a function of ours and of a backbone, its inputs
lie in a file, what comes back has its tensors on the processor, and a refusal is its sentence.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from demo.server.device.turns import TurnQueue
from demo.server.limits import KEPT_ON_CARD
from demo.server.models import without_folders
from setar_core.memory import plain_if_full

if TYPE_CHECKING:
    from torch import Tensor

    from setar_core.backbones import Backbone

SLICE = 50.0  # seconds of work, at most, that a card is asked for at a time
SHORTEST = 15.0  # seconds, at least: an estimate may be wrong
BEGINNING = 10.0  # seconds besides, for the process to begin
WHOLE = 2.0  # seconds after which a step carries all that it has
SPARE = 1.5  # times what a step took, in an estimate and before the end of a slice

State = TypeVar("State")
Step = TypeVar("Step")
StepOut = TypeVar("StepOut", covariant=True)
Card = Callable[[bytes, float], Generator[bytes, None, None]]


class Source(NamedTuple):
    """What a backbone is loaded from, and the name that visitors see."""

    real: str
    name: str


@dataclass(frozen=True)
class Work(Generic[State, Step]):
    """What can be taken up after each of its steps.

    Attributes:
        run: a function of a module: of a backbone, `given` and a state, the steps that follow.
        given: what else it needs.
        after: the state after a step, from that before it.
        light: a step without what is heavy to carry, so that the state stays that before it.
    """

    run: Callable[..., Iterator[Step]]
    given: tuple[Any, ...]
    after: Callable[[State, Step], State]
    light: Callable[[Step], Step] | None = None


class Stepping(Protocol[StepOut]):
    """Work that goes on, step by step."""

    def next(self, what: str, left: int) -> StepOut | None:
        """The next step, of so many that are left; None after the last.

        Raises:
            ValueError: as the work does.
        """

    def rest(self) -> None:
        """Let go of what the work holds, until the next step is asked for."""


class Here(Generic[Step]):
    """Work on this machine, a turn a step."""

    def __init__(self, turns: TurnQueue, steps: Iterator[Step]) -> None:
        self._turns, self._steps = turns, steps

    def next(self, what: str, left: int) -> Step | None:
        return self._turns.run(what, next, self._steps, None)

    def rest(self) -> None:
        pass


class Lent(Generic[State, Step]):
    """Work in slices on a card that is lent; to be closed.

    A slice goes on from the last step that was handed out. It asks for as many seconds as the one
    before it tells that the rest takes.
    """

    def __init__(self, card: Card, source: Source, work: Work[State, Step], state: State) -> None:
        self._card, self._source, self._work, self._state = card, source, work, state
        self._folder = tempfile.TemporaryDirectory(prefix="card-", ignore_cleanup_errors=True)
        self._given = Path(self._folder.name) / "given"
        self._given.write_bytes(_packed(work.given))
        self._steps = self._slices()
        self._times: list[float] = []  # of the last slice's steps, seconds since its beginning
        self._left = 0

    def next(self, what: str, left: int) -> Step | None:
        self._left = left
        return next(self._steps, None)

    def rest(self) -> None:
        self._steps.close()
        self._steps = self._slices()

    def close(self) -> None:
        self._steps.close()
        self._folder.cleanup()

    @property
    def seconds(self) -> float:
        """What the next slice asks for."""
        if not self._times:
            return SLICE
        first, *later = self._times
        each = (later[-1] - first) / len(later) if later else first
        return min(SLICE, max(SHORTEST, first + SPARE * each * self._left))

    def _slices(self) -> Generator[Step, None, None]:
        while True:
            work = self._work
            call = _packed((work.run, self._source, self._given, self._state, work.light))
            answers = self._card(call, self.seconds)
            self._times = []
            with closing(answers):
                while (answer := _awaited(answers)) is not None:
                    said = pickle.loads(answer)
                    if isinstance(said, _Refused):
                        raise ValueError(said.sentence)
                    if isinstance(said, _Over):
                        return
                    self._times.append(said.seconds)
                    self._state = self._work.after(self._state, said.step)
                    yield said.step


class _Did(NamedTuple):
    step: Any
    seconds: float  # since the slice began


class _Refused(NamedTuple):
    sentence: str


class _Over(NamedTuple):
    """Nothing is left to do; a slice whose time is over ends without it."""


def lent() -> Card | None:
    """The card that this Space is lent; None elsewhere, and then nothing of it is imported.

    To be asked before Gradio and PyTorch are imported.
    """
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):  # as it reads it
        return None
    try:
        spaces = import_module("spaces")
    except ImportError:
        return None
    return spaces.GPU(duration=_duration)(_slice)


def _duration(call: bytes, seconds: float) -> int:
    return math.ceil(seconds + BEGINNING)


def _slice(call: bytes, seconds: float) -> Generator[bytes, None, None]:
    """On the card: as many steps as its seconds allow, at least one."""
    began = time.monotonic()
    last = longest = 0.0
    carried = -math.inf
    try:
        with plain_if_full("on the card"):
            run, source, given, state, light = pickle.loads(call)
            for step in run(_backbone(source), *_opened(given), state):
                spent = time.monotonic() - began
                if light is None or spent >= carried + WHOLE:
                    carried = spent
                else:
                    step = light(step)
                yield _packed(_Did(step, spent))
                longest = max(longest, spent - last) if last else 0.0  # the first also gets ready
                if spent + (SPARE * longest or spent) > seconds:
                    return
                last = spent
    except ValueError as error:
        yield _packed(_Refused(str(error)))
        return
    yield _packed(_Over())


@lru_cache(maxsize=KEPT_ON_CARD)
def _backbone(source: Source) -> Backbone:
    import torch

    from setar_core.backbones import load_backbone

    try:
        loaded = load_backbone(source.real, "cuda" if torch.cuda.is_available() else "cpu")
    except ValueError as error:
        raise ValueError(without_folders(str(error), source.real)) from None
    loaded.name = source.name
    return loaded


@lru_cache(maxsize=1)
def _opened(given: Path) -> tuple[Any, ...]:
    """The inputs of a work; its slices share them."""
    return pickle.loads(given.read_bytes())


def _awaited(answers: Generator[bytes, None, None]) -> bytes | None:
    """What comes from the card next; None at the end of its slice.

    Raises:
        ValueError: it is not lent, or was taken away; what the host says of that has no type of
            its own.
    """
    try:
        return next(answers, None)
    except Exception as error:
        said = " ".join(str(getattr(error, "message", error)).split()) or type(error).__name__
        raise ValueError(
            f"the card that this Space is lent went no further ({said.rstrip('. ')}); what was "
            "done until then is kept: go on from there in a while"
        ) from error


class _Packer(pickle.Pickler):
    """Tensors without their devices, and without what else their memory holds."""

    def reducer_override(self, value: Any) -> Any:
        import torch

        if not isinstance(value, torch.Tensor):
            return NotImplemented
        plain = value.detach().cpu().contiguous()
        content = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        return _tensor, (content, plain.dtype, tuple(plain.shape))


def _packed(value: object) -> bytes:
    file = io.BytesIO()
    _Packer(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def _tensor(content: bytes, dtype: Any, shape: tuple[int, ...]) -> Tensor:
    import torch

    if not content:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)
