"""The app under many visitors at once, some of them greedy: latency, memory, and right answers.

    python -m tests.speed.load [--verdicts 12] [--visitors 20] [--searches 10] [--labels 25000]

Beside ten searches, a benchmark and four calls with giant label lists, one visitor after another
asks for a small verdict (latency, and its ratio to the same verdict alone); then twenty ask at once
(memory). Every answer is compared with the one that was given to it alone. All of it stays on this
machine; each visitor is an address that a proxy would name. `--labels 0` leaves searches alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import httpx

from demo.api import Endpoints
from demo.server.shipped import examples
from tests.speed.app import resident, served

ASKED = {name: p.default for name, p in signature(Endpoints.verdict).parameters.items()}
del ASKED["self"]
SETTLING = 90  # seconds before memory is read: what nobody watches ends after 30, calls go on
SLOW = 600  # seconds


class Visitor:
    """One address, one page."""

    def __init__(self, base: str, place: int) -> None:
        self.session = f"page{place}"
        self.client = httpx.Client(
            base_url=f"{base}/gradio_api/",
            headers={"X-Forwarded-For": f"10.1.{place // 250}.{place % 250 + 1}"},
            timeout=SLOW,
        )

    def verdict(self, picture: Path, labels: str = "animals") -> dict[str, Any]:
        """The endpoint's answer; raises RuntimeError with its refusal."""
        sent = f"data:image/webp;base64,{base64.b64encode(picture.read_bytes()).decode()}"
        asked = list((ASKED | {"images": [sent], "labels": labels, "threshold": "0.04"}).values())
        event = self.client.post("call/verdict", json={"data": asked}).json()["event_id"]
        with self.client.stream("GET", f"call/verdict/{event}") as stream:
            name = ""
            for line in stream.iter_lines():
                field, _, value = line.partition(": ")
                name = value if field == "event" else name
                if field == "data" and name == "complete":
                    return json.loads(value)[0]
                if field == "data" and name == "error":
                    raise RuntimeError(value)
        raise RuntimeError("the stream ended without an answer")

    def join(self, function: int, data: list[Any]) -> None:
        """Let an event of the page happen; whoever wants its answer looks again later."""
        asked = {"data": data, "fn_index": function, "session_hash": self.session}
        self.client.post("queue/join", json=asked).raise_for_status()

    def run(self, function: int, data: list[Any]) -> Any:
        """The answer of an event that waits in no queue."""
        asked = {"data": data, "fn_index": function, "session_hash": self.session}
        return self.client.post("run/predict", json=asked).raise_for_status().json()["data"]


class Config:
    """What the page tells of its parts and events."""

    def __init__(self, base: str) -> None:
        self.page = httpx.get(f"{base}/config", timeout=SLOW).json()
        self.parts = {part["id"]: part for part in self.page["components"]}

    def event(self, part: str, name: str) -> tuple[int, list[Any]]:
        """The function of a part's event, and its inputs as the page opens with."""
        targets = {
            (self.parts[id].get("props", {}).get("elem_id"), event): function
            for function in self.page["dependencies"]
            for id, event in function["targets"]
            if id in self.parts
        }
        function = targets[part, name]
        inputs = (self.parts[id] for id in function["inputs"])
        return function["id"], [
            None if p["type"] == "state" else p["props"].get("value") for p in inputs
        ]

    def tick(self, part: str, name: str) -> tuple[int, list[Any]]:
        """The function of the clock that a part's event starts: what looks at its work."""
        functions = self.page["dependencies"]
        number, _ = self.event(part, name)
        started = next(f["outputs"] for f in functions if f["id"] == number)
        clocks = {id for id in started if self.parts[id]["type"] == "timer"}
        (found,) = [f for f in functions if f["targets"] and f["targets"][0][0] in clocks]
        return found["id"], [None] * len(found["inputs"])


@contextmanager
def greedy(base: str, config: Config, searches: int, labels: int) -> Iterator[Counter[str]]:
    """Searches that are looked at, a benchmark, and four calls with giant label lists again and
    again, until it is left; counts what was answered."""
    answered: Counter[str] = Counter()
    over, visitors = threading.Event(), [Visitor(base, place) for place in range(searches + 5)]
    tick = config.tick("search-start", "click")

    def search(visitor: Visitor) -> None:
        visitor.join(*config.event("search-start", "click"))
        while not over.wait(2):
            visitor.run(*tick)
            answered["looks at searches"] += 1

    def giant(visitor: Visitor, place: int) -> None:
        while not over.is_set():
            names = "\n".join(f"thing {place} {i} {time.time():.0f}" for i in range(labels))
            try:
                visitor.verdict(examples()[0], names)
                answered["giant calls"] += 1
            except (RuntimeError, httpx.HTTPError):
                answered["giant calls refused"] += 1
                over.wait(1)

    work: list[tuple[Any, ...]] = [(search, visitor) for visitor in visitors[:searches]]
    if labels:
        work += [(giant, visitor, i) for i, visitor in enumerate(visitors[searches + 1 :])]
        work.append((visitors[searches].join, *config.event("bench-run", "click")))
    threads = [threading.Thread(target=w[0], args=w[1:], daemon=True) for w in work]
    for thread in threads:
        thread.start()
    time.sleep(10)  # until all of them are at it
    try:
        yield answered
    finally:
        over.set()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verdicts", type=int, default=12)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--labels", type=int, default=25_000)
    args = parser.parse_args()
    with served() as (server, base, _):
        waited = until_served(base)
        config, first = Config(base), Visitor(base, 1000)
        pictures = examples()
        right = [first.verdict(picture) for picture in pictures]

        def ask(place: int) -> tuple[float, bool]:
            """A verdict for a new visitor: how long it took, and whether it is right."""
            at, visitor = place % len(pictures), Visitor(base, 2000 + place)
            taken, found = timed(lambda: visitor.verdict(pictures[at]))
            return taken, found == right[at]

        alone = [ask(place) for place in range(args.verdicts)]
        time.sleep(5)
        before, sizes, over = resident(server), [0.0], threading.Event()

        def watch() -> None:
            while not over.wait(0.5):
                sizes.append(resident(server))

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        with greedy(base, config, args.searches, args.labels) as answered:
            beside = [ask(100 + place) for place in range(args.verdicts)]
            with ThreadPoolExecutor(args.visitors) as pool:
                together = list(pool.map(ask, range(200, 200 + args.visitors)))
        time.sleep(SETTLING)
        over.set()
        watching.join()
        after = resident(server)
    once = statistics.median(taken for taken, _ in alone)
    print(f"served after     {waited:7.1f} s")
    named = (("alone", alone), ("beside", beside), (f"{args.visitors} at once", together))
    for what, found in named:
        middle, worst = statistics.median(taken for taken, _ in found), max(found)[0]
        print(f"{what:16} {middle:7.2f} s median ({middle / once:.1f} x), {worst:.2f} s worst")
    print(f"memory before    {before:7.0f} MB")
    print(f"at the top       {max(sizes):7.0f} MB")
    print(f"after            {after:7.0f} MB, {after / before:.2f} x (bar 1.30)")
    answers = [right for _, found in named for _, right in found]
    told = ", ".join(f"{count} {what}" for what, count in answered.items())
    print(f"meanwhile         {told}")
    print(f"wrong answers    {answers.count(False):7} of {len(answers)}")


def until_served(base: str) -> float:
    """Seconds until the page answers."""
    start = time.perf_counter()
    while time.perf_counter() - start < SLOW:
        try:
            httpx.get(f"{base}/config", timeout=SLOW).raise_for_status()
            return time.perf_counter() - start
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the app did not start")


if __name__ == "__main__":
    main()
