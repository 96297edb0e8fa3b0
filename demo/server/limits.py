"""Every limit of the page, in one place; docs/hosting.md lists them.

A visitor is who asks from one address (`demo/server/visitors.py`). What one may have is less than
what all may have together, so that nobody can fill a line or a store alone.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """How much of one kind of long work there may be.

    Attributes:
        at_once: runs, half of it for one visitor.
        longest: runs and waits.
        each: runs and waits for one visitor.
        kept: can be found again by its name, for `KEPT_SECONDS` after it was last asked for.
    """

    at_once: int
    longest: int
    each: int
    kept: int = 0


JUDGING = Line(at_once=16, longest=64, each=32)
SEARCHES = Line(at_once=1, longest=10, each=3, kept=40)
TRAININGS = Line(at_once=1, longest=10, each=2, kept=16)
BENCHMARKS = Line(at_once=4, longest=10, each=3, kept=16)
READINGS = Line(at_once=4, longest=16, each=4)  # of a backbone's matrices, in Spectrum
LOADS = Line(at_once=1, longest=4, each=2)  # of backbones that visitors choose
CALLS = Line(at_once=16, longest=16, each=8)  # of endpoints, those beyond wait in Gradio's queue

# How long
ORPHANED = 30.0  # seconds without a look, after which work that somebody watched is ended
KEPT_SECONDS = 3600.0  # what is over, and uploads; looked for as often
PUBLIC_CANDIDATES = 1_000  # of a search, on a public host
PUBLIC_MINUTES = 30.0  # that a search may take by its estimate, on a public host

# How many are kept, of all visitors; where there is no room, who has most loses one
KEPT_ALTERED = 4  # backbones with a recipe
KEPT_BATCHES = 100  # of verdicts
KEPT_CALIBRATIONS = 64  # scores of the shipped pictures, by one of the weights each
KEPT_CHOSEN = 1  # loaded backbones, besides those named at the start
KEPT_ON_CARD = 2  # backbones, in a process on a card that is lent
KEPT_EQUIPPED = 8  # detectors with negatives, a shaping, or what they learned
KEPT_NEGATIVES = 8  # negative labels of a label set, and what a recipe's weights make of them
KEPT_DETECTORS = 8  # label sets that were read; a large one counts as one for each of its
KEPT_LABELS = 7_500
KEPT_PROBES = 4  # inputs of Spectrum's measurements
KEPT_OPENED = 8  # detectors that visitors opened
KEPT_RECIPES = 200  # and adapters, made here or uploaded; an adapter counts once more for each
KEPT_ADAPTER_BYTES = 10_000_000

# How much
PUBLIC_WORDS = 20_000  # that are read to mine negatives, on a public host
MAX_UPLOAD = "600mb"  # a file
MAX_FILES = 200  # pictures of a batch
MAX_BATCH_BYTES = 500_000_000
MAX_DETECTOR_BYTES = 100_000_000  # of a file, unpacked
MAX_FETCHED = 2 * 10**9  # bytes of a backbone that a visitor chooses
MAX_RATIOS = 40  # candidates of a site
MAX_TRACE = 20_000_000  # bytes
MAX_IMAGES = 2_000  # of a search
MAX_SEARCH_BYTES = 1_000_000_000  # of its zip, unpacked
MAX_SETS_FILES = 20_000  # of all zips of a benchmark
MAX_SETS_BYTES = 2_000_000_000  # of all zips of a benchmark, unpacked
