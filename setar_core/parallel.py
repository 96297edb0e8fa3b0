"""How the chunks of a tower are worked on: in which precision, and how many at once.

On a CPU every core takes a chunk of its own. Then no operation waits until the slowest thread has
done its share, and what a layer makes stays in the cache of the core that reads it next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")


class Workers:
    """Threads that each work on one chunk at a time; they end with it."""

    def __init__(self, device: torch.device, precision: str = "fp32") -> None:
        """`precision` of the towers' products: "fp32", "tf32" (on CUDA) or "bf16"."""
        self.device = device
        self.precision = precision
        self.size = torch.get_num_threads() if device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[int], T], count: int) -> Iterator[T]:
        """`work(0)`, `work(1)`, ... in this order, without gradients; a few are made ahead.

        Where there are fewer chunks than threads, one after another with all threads.
        """
        if self.size == 1 or count < self.size:
            yield from map(_inferring(work), range(count))
            return
        pool, ahead = self._threads(), deque[Future]()
        try:
            for number in range(count):
                ahead.append(pool.submit(_inferring(work), number))
                if len(ahead) >= 2 * self.size:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:  # after an error, or when the rest is not wanted
                future.cancel()
            for future in ahead:
                if not future.cancelled():
                    future.exception()

    def share(self, total: int, most: int) -> int:
        """How large equal chunks are, at most `most`, so that every thread has as many."""
        chunks = -(-total // most)
        chunks = -(-chunks // self.size) * self.size
        return max(1, -(-total // chunks))

    def rounding(self) -> AbstractContextManager:
        """In it, products have the crew's precision; each thread enters its own."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        cuda = self.device.type == "cuda"
        return _tf32(self.precision == "tf32") if cuda else nullcontext()

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.size, "chunk", _alone)
            together = Barrier(self.size)
            for started in [self._pool.submit(together.wait) for _ in range(self.size)]:
                started.result()
            torch.set_num_threads(self.size)  # for threads to come: PyTorch goes by the last call
        return self._pool


def _alone() -> None:
    """Let PyTorch use this thread only. It must have looked at its setting before it is changed,
    or it would take the one of the whole program later."""
    torch.get_num_threads()
    torch.set_num_threads(1)


def _inferring(work: Callable[[int], T]) -> Callable[[int], T]:
    @torch.inference_mode()
    def inferred(number: int) -> T:
        return work(number)

    return inferred


@contextmanager
def _tf32(on: bool) -> Iterator[None]:
    """Let CUDA round the factors of products to 10 bits, or forbid it, convolutions included."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = on
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
