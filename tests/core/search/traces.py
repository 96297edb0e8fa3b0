"""Searches that are written into a trace, for the tests of traces."""

import json

from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan
from setar_core.search.trace import Trace, header

PLAN = SearchPlan(ratios=(0, 0.1, 0.3), top_k=5)
EXHAUSTIVE = SearchPlan(order="layer_exhaustive", ratios=(0, 0.2), top_k=5)
SCORED = SearchPlan(order="visual_only", ratios=(0, 0.2), top_k=5, objective="fpr", score="mcm")


def searched(path, world, plan, resume=False, stop=None, memory=None):
    """Search into a trace, perhaps only so many candidates."""
    trials = []
    with Trace(path, header(*world, plan), resume) as trace:
        for trial in greedy_search(*world, plan, done=trace.done, memory=memory):
            trace.write(trial)
            trials.append(trial)
            if stop is not None and len(trials) == stop:
                break
    return trials


def values(path):
    """The lines without what differs between runs."""
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
