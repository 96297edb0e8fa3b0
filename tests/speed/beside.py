"""How much a search slows the verdicts of others, who ask the network in turns with it.

    python -m tests.speed.beside [--rounds 15]

A verdict may wait for the candidate that is being measured: that is the search's share, and the
last figure is the time beside a search over that of a verdict and a candidate alone. Each figure is
a median over rounds in which all three are measured one after the other.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from itertools import count

import torch

from demo.server.device.turns import TurnQueue
from setar_core.backbones import load_backbone
from setar_core.data.calibration import CalibrationSet
from setar_core.data.images import find_images
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK
from setar_core.search.greedy import greedy_search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    backbone, labels = load_backbone("emoji"), LabelSet.load("animals")
    detector = Detector(backbone, labels, "gl_mcm", threshold=1.0)
    folder = BENCHMARK / "calibration"
    calibration = CalibrationSet.from_folder(folder, labels, backbone.preprocess)
    path, turns = find_images([folder])[0], TurnQueue()
    trials = (trial for _ in count() for trial in greedy_search(backbone, calibration))
    run = (trial for trial in trials if not trial.known)

    def verdict() -> float:
        return seconds(lambda: detector.verdict(path), "judging")

    def candidate() -> float:
        return seconds(lambda: next(run), "searching")

    def seconds(work: Callable[[], object], what: str) -> float:
        """From asking for the turn to its end."""
        start = time.perf_counter()
        turns.run(what, work)
        return time.perf_counter() - start

    def beside() -> float:
        over = threading.Event()
        search = threading.Thread(target=lambda: [candidate() for _ in iter(over.is_set, True)])
        search.start()
        while turns.running()[:1] != ["searching"]:
            time.sleep(0.001)
        taken = verdict()
        over.set()
        search.join()
        return taken

    verdict(), candidate(), beside()
    alone, candidates, together = zip(
        *((verdict(), candidate(), beside()) for _ in range(args.rounds)), strict=True
    )
    ratios = [both / one for one, both in zip(alone, together, strict=True)]
    shares = [b / (a + c) for a, c, b in zip(alone, candidates, together, strict=True)]
    print(f"{torch.get_num_threads()} threads, {args.rounds} rounds")
    for what, found in (("verdict alone", alone), ("candidate", candidates), ("beside", together)):
        print(f"{what:16} {1e3 * statistics.median(found):7.1f} ms")
    print(f"slower by        {statistics.median(ratios):7.2f} x")
    print(f"of its share     {statistics.median(shares):7.2f} (bar 1.10)")


if __name__ == "__main__":
    main()
