"""Where chunks of work run: on a CPU in a thread for each core, elsewhere one after another.

On a CPU no operation then waits until the slowest thread has done its share, and what a layer makes
stays in the cache of the core that reads it next. Nothing else in the core starts threads or
touches how many of them PyTorch uses; what the process had is what it keeps.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import islice
from threading import Barrier, Lock
from typing import TypeVar

import torch

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_pools: dict[int, ThreadPoolExecutor] = {}  # by the number of their threads
_starting = Lock()
if hasattr(os, "register_at_fork"):  # a forked process has none of these threads
    os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release)
    os.register_at_fork(after_in_child=_pools.clear)
    os.register_at_fork(after_in_child=_starting.release)


class Workers:
    """A device, the precision of its products, and how many chunks it works on at a time."""

    def __init__(self, device: torch.device, precision: str = "fp32") -> None:
        """`precision` of the towers' products: "fp32", "tf32" (on CUDA) or "bf16"."""
        self.device = device
        self.precision = precision
        self.size = torch.get_num_threads() if device.type == "cpu" else 1

    def each(self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]) -> Iterator[Result]:
        """`work` of each chunk in their order, without gradients; a few are made ahead.

        Where there are fewer chunks than threads, one after another with all threads.
        """

        @torch.inference_mode()
        def inferring(chunk: Chunk) -> Result:
            return work(chunk)

        if self.size == 1 or len(chunks) < self.size:
            yield from map(inferring, chunks)
            return
        pool = _single_threads(self.size)
        with closing(_ahead(pool, inferring, chunks, 2 * self.size - 1)) as futures:
            for future in futures:
                yield future.result()

    def share(self, total: int, most: int) -> int:
        """How large equal chunks are, at most `most`, so that every thread has as many."""
        chunks = -(-total // most)
        chunks = -(-chunks // self.size) * self.size
        return max(1, -(-total // chunks))

    def rounding(self) -> AbstractContextManager[object]:
        """In it, products have the workers' precision; each thread enters its own."""
        return rounding(self.device, self.precision)


def share_cores(processes: int) -> None:
    """Let PyTorch use this process's share of the cores, before it has used any."""
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))


def rounding(device: torch.device, precision: str = "fp32") -> AbstractContextManager[object]:
    """In it, products have this precision; on CUDA, convolutions would else be tf32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return _tf32(precision == "tf32") if device.type == "cuda" else nullcontext()


def prefetch(
    work: Callable[[Chunk], Result], items: Iterable[Chunk], count: int, threads: int
) -> Generator[Future[Result], None, None]:
    """A future for each item, in order and done; `count` more are worked on meanwhile."""
    with (
        ThreadPoolExecutor(threads, "prefetch") as pool,
        closing(_ahead(pool, work, items, count)) as futures,
    ):
        yield from futures


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Chunk], Result],
    items: Iterable[Chunk],
    count: int,
) -> Generator[Future[Result], None, None]:
    rest = iter(items)
    ahead: deque[Future[Result]] = deque()
    try:
        ahead.extend(pool.submit(work, item) for item in islice(rest, count))
        while ahead:
            future = ahead.popleft()
            wait([future])
            ahead.extend(pool.submit(work, item) for item in islice(rest, 1))
            yield future
    finally:  # after an error, or when the rest is not wanted
        wait([future for future in ahead if not future.cancel()])


def _single_threads(size: int) -> ThreadPoolExecutor:
    """Threads of which PyTorch uses each alone; started once and kept.

    Its setting is a thread's own, but threads to come take the last that any thread made. So that
    is put back, by a thread of which nothing else is known.
    """
    with _starting:
        if size not in _pools:
            before = _elsewhere(torch.get_num_threads)
            pool, together = ThreadPoolExecutor(size, "chunk", _alone), Barrier(size)
            try:
                wait([pool.submit(together.wait) for _ in range(size)])
            finally:
                together.abort()
                _elsewhere(lambda: torch.set_num_threads(before))
            _pools[size] = pool
        return _pools[size]


def _alone() -> None:
    """Let PyTorch use this thread only. It must have looked at its setting before it is changed,
    or it would take the one of the whole program later."""
    torch.get_num_threads()
    torch.set_num_threads(1)


def _elsewhere(work: Callable[[], Result]) -> Result:
    """What `work` gives in a thread of its own."""
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(work).result()


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
