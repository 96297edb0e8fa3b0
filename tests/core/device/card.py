"""A CUDA device for tests: the card that is here, or a stand-in that holds no values.

The stand-in's tensors are PyTorch's fake ones. They carry device, shape and type through every
operation; one in which two devices meet raises as on a card, and so does one whose shape depends on
values. What a program would wait for (a value, a copy that is not asked for ahead) is counted, and
what comes back to the host are zeros.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ATEN = torch.ops.aten
ONE_VALUE = {ATEN._local_scalar_dense.default, ATEN.equal.default}
ZEROS = {torch.bool: False, torch.int32: 0, torch.int64: 0}


class Card:
    """The first card of this machine."""

    name = "cuda"
    real = True

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        """What the program waited for inside, each in a word or two."""
        found: list[str] = []
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
            found += [str(w.message) for w in said if "synchronizing" in str(w.message)]


class StandIn(TorchDispatchMode):
    """Within it, whatever is on "cuda" is fake, and all else as it is."""

    name = "cuda"
    real = False

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeTensorMode()
        self.waited: list[str] = []

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        found: list[str] = []
        before = len(self.waited)
        yield found
        found += self.waited[before:]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        there = any(isinstance(x, FakeTensor) for x in tensors)
        goal = kwargs.get("device")
        goal = args[0].device if func is ATEN.copy_.default else goal and torch.device(goal)
        if not there and (goal is None or goal.type != "cuda"):
            return func(*args, **kwargs)
        if func.namespace == "aten":  # without gradients, what is made of others comes whole
            with self:
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        if there and (func in ONE_VALUE or (goal is not None and goal.type == "cpu")):
            return self._come_back(func, args, kwargs)
        crossing = goal is not None and any(x.device.type == "cpu" for x in tensors)
        if crossing and not kwargs.get("non_blocking", args[2:] == (True,)):
            self.waited.append(str(func))
        args, kwargs = tree_map(self._fake, (args, kwargs))
        with self.fake:
            return func(*args, **kwargs)

    def _come_back(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.waited.append(str(func))
        if func in ONE_VALUE:
            return ZEROS.get(args[0].dtype, 0.0)
        if func is ATEN.copy_.default:
            return args[0].zero_()
        return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)

    def _fake(self, x: Any) -> Any:
        real = isinstance(x, Tensor) and not isinstance(x, FakeTensor)
        return self.fake.from_tensor(x) if real else x
