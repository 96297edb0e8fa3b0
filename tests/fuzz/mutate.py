"""Seeded mutation of files: a reader takes what comes of it, or refuses it in one sentence."""

import random
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence

# Where sizes, counts and offsets turn over.
EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
FEWEST = 20  # mutants
LONGEST = 600  # characters of a refusal: a sentence, not a dump


def mutant(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to eight changes, most of them where headers lie."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        near = rng.random() < 0.6
        at = rng.randrange(min(len(data), 256) if near else len(data)) if data else 0
        rng.choice(CHANGES)(rng, data, at, seeds)
    return bytes(data)


def flip(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    data[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1])


def overwrite(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    data[at : at + 1] = rng.randbytes(1)


def edge(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 4, 8))
    number = rng.choice(EDGES) % 256**width
    data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))


def cut(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    del data[at:]


def remove(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    del data[at : at + rng.choice((1, 2, 4, 30, 300))]


def repeat(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    data[at:at] = data[at : at + rng.choice((1, 2, 4, 30, 300))] * rng.choice((1, 2, 20))


def splice(rng: random.Random, data: bytearray, at: int, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    start = rng.randrange(len(other) or 1)
    data[at : at + rng.choice((0, 4, 30))] = other[start : start + rng.choice((1, 4, 30, 300))]


CHANGES = (flip, overwrite, edge, edge, cut, remove, repeat, splice)


def mutants(seeds: Sequence[bytes], seconds: float, seed: int = 0) -> Iterator[bytes]:
    """The seeds as they are, then the same mutants in the same order, until the time is up; a few
    on the slowest machine."""
    rng, end = random.Random(seed), time.monotonic() + seconds
    yield from seeds
    count = 0
    while time.monotonic() < end or count < FEWEST:
        yield mutant(rng, seeds)
        count += 1


def hunt(
    read: Callable[[bytes], object], seeds: Sequence[bytes], seconds: float, seed: int = 0
) -> tuple[int, int]:
    """How many mutants `read` took, and how many it refused with a ValueError's sentence.

    Raises:
        AssertionError: any other end; the message carries the mutant.
    """
    found = [is_taken(read, data) for data in mutants(seeds, seconds, seed)]
    return found.count(True), found.count(False)


def is_taken(read: Callable[[bytes], object], data: bytes) -> bool:
    """Whether `read` took the file; raises AssertionError as `hunt` does."""
    try:
        read(data)
    except ValueError as error:
        said = str(error)
        plain = said.isprintable() and 0 < len(said) <= LONGEST and not said.endswith(":")
        assert plain and not isinstance(error, UnicodeError), told(data, said)
        return False
    except Exception as error:  # any other end is what the hunt is for; the mutant is told
        raise AssertionError(told(data, f"{type(error).__name__}: {error}")) from error
    return True


def told(data: bytes, said: str) -> str:
    return f"{said!r} of b64decode({b64encode(data[:20_000]).decode()!r}), {len(data)} bytes"
