"""Every image's scores as JSON lines, written as they come, so that a killed run can go on.

The first line says what the scores depend on: the weights, the recipes, the labels, the settings,
and the files by name and size. Then one line an image: its set, its name, its scores by recipe, and
the index of its most probable label; or, for one that was left out, why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..journal import Journal, brief, check_same, differences, whole_lines
from .run import Benchmark, Step
from .set_scores import SetScores

MAX_LINE = 1_000_000  # bytes; a line has a few hundred
BEGINNING = b'{"backbone"'


def header(bench: Benchmark) -> dict[str, Any]:
    """The first line: all that a score depends on."""
    first = next(iter(bench.detectors.values()))
    roles = {id(bench.id): "id", id(bench.calibration): "calibration"}
    return {
        "backbone": first.backbone.name,
        "weights": first.backbone.fingerprint,
        "labels": first.labels.fingerprint,
        "recipes": {name: d.context.recipe for name, d in bench.detectors.items()},
        "scores": list(bench.scores),
        **first.options.page(),
        **bench.given,
        "sets": {
            scored.images.name: {
                "role": roles.get(id(scored), "ood"),
                "images": len(scored.images),
                "files": scored.images.fingerprint,
            }
            for scored in bench.sets
        },
    }


class Scorebook:
    """A file that grows by a line an image.

    `resumed` is how many images were there already; the benchmark has their scores.
    """

    def __init__(self, path: str | Path, bench: Benchmark, resume: bool = False) -> None:
        """Start a file, or take up the one that is there.

        Raises:
            ValueError: it is no scorebook, or of another run; says what differs.
        """
        self.path = Path(path)
        self.bench = bench
        self.resumed = 0
        first, end = header(bench), 0
        if resume and self.path.exists():
            end = self._take_up(first)
        self._journal = Journal(self.path, first, end if self.resumed else 0)

    def write(self, step: Step) -> None:
        """Add the images of a step."""
        lines = []
        for place in step.left_out:
            reason = step.set_scores.left_out[place]
            lines.append({**self._named(step.set_scores, place), "left_out": reason})
        for place in step.places:
            lines.append(self._named(step.set_scores, place) | self._found(step.set_scores, place))
        if lines:
            self._journal.append(*lines)

    def close(self) -> None:
        self._journal.close()

    def __enter__(self) -> Scorebook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _named(scored: SetScores, place: int) -> dict[str, Any]:
        return {"set": scored.images.name, "image": scored.images.files[place]}

    def _found(self, scored: SetScores, place: int) -> dict[str, Any]:
        values, labels = scored.values[place].tolist(), scored.labels[place].tolist()
        return {
            "scores": {
                recipe: dict(zip(self.bench.scores, row, strict=True))
                for recipe, row in zip(self.bench.detectors, values, strict=True)
            },
            "label": dict(zip(self.bench.detectors, labels, strict=True)),
        }

    def _take_up(self, first: dict[str, Any]) -> int:
        """Give the benchmark what the file has; where its last whole line ends."""
        end = 0
        sets = {scored.images.name: scored for scored in self.bench.sets}
        places = {
            name: {file: i for i, file in enumerate(scored.images.files)}
            for name, scored in sets.items()
        }
        for line in whole_lines(self.path, "scorebook", BEGINNING, MAX_LINE):
            page, end = line.page, line.end
            if page is None:
                raise ValueError(
                    f"{self.path}, line {line.number}: not of a scorebook; start without --resume"
                )
            if line.number == 1:
                _check_same(self.path, page, first)
            else:
                try:
                    scored, place = sets[page["set"]], places[page["set"]][page["image"]]
                    self._restore(scored, place, page)
                except (KeyError, TypeError, ValueError, IndexError):
                    raise ValueError(
                        f"{self.path}, line {line.number}: it has no scores of an image of this "
                        "run; start without --resume"
                    ) from None
                self.resumed += 1
        return end

    def _restore(self, scored: SetScores, place: int, page: dict[str, Any]) -> None:
        if "left_out" in page:
            scored.leave_out(place, str(page["left_out"]))
            return
        recipes, names = self.bench.detectors, self.bench.scores
        values = np.array([[float(page["scores"][r][s]) for s in names] for r in recipes])
        labels = np.array([page["label"][recipe] for recipe in recipes])
        known = labels.dtype.kind == "i" and 0 <= labels.min() <= labels.max()
        if not (known and labels.max() < len(self.bench.labels) and np.isfinite(values).all()):
            raise ValueError(place)
        scored.put([place], values[None], labels[None])


def _check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises ValueError that names what differs between two first lines."""
    for key, theirs, ours in differences(found, wanted):
        if key == "sets" and isinstance(theirs, dict):
            changed = [
                name if name in ours else brief(name)  # a file may name anything
                for name in {**theirs, **ours}
                if theirs.get(name) != ours.get(name)
            ]
            raise ValueError(
                f"{path} was made with other files in {', '.join(changed)}; give the "
                "same folders, or start without --resume"
            )
    check_same(path, found, wanted)
