"""How `scores` grows with images and with processes: rates, memory and disk of commands in one run.

    python -m tests.speed.scale [--images 1000 3000 9000] [--ranks 1 2] [--device cuda]

Shards of drawn pictures are scored to Parquet by one process and by several, one thread each, and
by one with all threads. A rate is of the images beyond the fewest, so that the start does not
count; memory is the largest process's. Before each row the shards are in the disk cache.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from setar_core.data.images import find_images
from setar_core.memory import written
from setar_core.paths import BENCHMARK

SHARD = 500  # pictures
EACH = 0.2  # seconds between two looks at the memory


class Run(NamedTuple):
    seconds: float
    memory: int  # bytes, of the largest process
    table: int
    journal: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 3_000, 9_000])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--backbone", default="emoji")
    parser.add_argument("--labels", default="animals")
    parser.add_argument("--scores", default="mcm")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    counts = sorted(args.images)
    given = ["--backbone", args.backbone, "--labels", args.labels, "--scores", args.scores]
    given += ["--device", args.device]
    ways = [(ranks, "1") for ranks in args.ranks] + [(1, "")]
    with tempfile.TemporaryDirectory() as folder:
        shards = drawn(Path(folder), -(-counts[-1] // SHARD))
        print(
            f"{'processes':>9} {'threads':>8} {'images':>8} {'seconds':>8} {'images/s':>9}  memory"
        )
        for ranks, threads in ways:
            fewest: Run | None = None
            for count in counts:
                found = scored(shards[: -(-count // SHARD)], given, ranks, threads)
                rate = "" if fewest is None else f"{(count - counts[0]) / more(found, fewest):9.1f}"
                fewest = fewest or found
                print(
                    f"{ranks:9} {threads or 'all':>8} {count:8,} {found.seconds:8.1f} {rate:>9}  "
                    f"{written(found.memory)}",
                    flush=True,
                )
        pictures = sum(path.stat().st_size for path in shards) / (SHARD * len(shards))
        print(
            f"bytes an image: {pictures:,.0f} in shards, {found.table / count:.0f} of Parquet, "
            f"{found.journal / count:.0f} of the journal"
        )


def more(found: Run, fewest: Run) -> float:
    return max(1e-9, found.seconds - fewest.seconds)


def drawn(folder: Path, count: int) -> list[Path]:
    """Shards of the shipped pictures, each under many names."""
    pictures = [path.read_bytes() for path in find_images([BENCHMARK / "id"])[:SHARD]]
    shards = [folder / f"shard-{number:05}.tar" for number in range(count)]
    for shard in shards:
        with tarfile.open(shard, "w") as file:
            for number in range(SHARD):
                data = pictures[number % len(pictures)]
                entry = tarfile.TarInfo(f"{number:06}.webp")
                entry.size = len(data)
                file.addfile(entry, io.BytesIO(data))
    return shards


def scored(shards: list[Path], given: list[str], ranks: int, threads: str) -> Run:
    """`scores` of the shards, from its start to its end."""
    for shard in shards:
        shard.read_bytes()
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    start = [sys.executable, "-m"]
    if ranks > 1:
        start += [
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(ranks),
            "-m",
            "--",
        ]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scores.parquet"
        images = ["--images", *map(str, shards)]
        command = [*start, "setar_core", "scores", *images, *given, "--out", str(out)]
        began, memory = time.perf_counter(), 0
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            memory = max(memory, largest(process.pid))
            time.sleep(EACH)
        seconds = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        journal = Path(f"{out}.jsonl").stat().st_size
        return Run(seconds, memory, out.stat().st_size, journal)


def largest(pid: int) -> int:
    """Bytes in memory of the largest of a process and its children, where /proc tells."""
    found = 0
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        found = 1024 * int(status.partition("VmRSS:")[2].split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return found
    return max([found, *(largest(int(child)) for child in children)])


if __name__ == "__main__":
    main()
