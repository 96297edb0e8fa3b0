"""What scores may be given besides labels: negative labels, a shaping, ID images to learn from."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...labels import LabelSet, few
from ...labels.examples import SHARE, check_share
from ...scores import MINED, SCORES, Score, check_scores
from ...scores.catalogue import GROUPS
from .. import Skipped, either, score_options
from ..console import say

if TYPE_CHECKING:
    from ...backbones import Backbone
    from ...backbones.base import Classifier
    from ...data.sets import ImageSet
    from ...detector import Detector
    from ...scores.evidence import NegativeClassifier
    from ...scores.shaping import Shaping

ALL = "all"
FLAGS = {"negatives": "--negatives FILE", "ID images": "--fit DIR"}


def add_given(parser: argparse.ArgumentParser) -> None:
    """--negatives, --shaping and --fit; below the help, every score of the catalogue."""
    parser.add_argument(
        "--negatives",
        action="append",
        default=[],
        metavar="FILE",
        help="for NegLabel and CSP: of `setar negatives`, or a word list that is mined with the "
        "defaults; may be given for each",
    )
    parser.add_argument(
        "--shaping",
        metavar="S",
        help="what is done to features before scores of logits: react:p90, react:1.0, ash-p:90, "
        "ash-b:90 or ash-s:95",
    )
    parser.add_argument(
        "--fit",
        metavar="DIR",
        help="ID images from which scores and react:pN learn; in folders a class for Mahalanobis++",
    )
    parser.add_argument(
        "--examples",
        metavar="DIR",
        help="pictures in a folder a label, mixed into what the labels' texts mean (few-shot)",
    )
    parser.add_argument(
        "--example-share",
        type=float,
        metavar="S",
        help=f"how much the examples count beside the text, from 0 to 1 ({SHARE})",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    told = [textwrap.fill(parser.epilog, 79)] if parser.epilog else []
    for group, needs in GROUPS.items():
        lines = [_line(name, s) for name, s in SCORES.items() if s.group == group]
        flag = f" ({FLAGS[group]})" if group in FLAGS else ""
        told.append("\n".join([f"scores that need {needs}{flag}:", *lines]))
    parser.epilog = "\n\n".join(told)


def names_of(text: str) -> tuple[str, ...]:
    """Names of scores between commas; `all` is every one.

    Raises:
        ValueError: an unknown one, or one named twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if names == (ALL,):
        return tuple(SCORES)
    check_scores(names)
    if len(set(names)) < len(names):
        raise ValueError(f"scores are {', '.join(names)!r}; name each once")
    return names


@dataclass(frozen=True)
class Given:
    """What was given, read and checked before a network is loaded.

    Attributes:
        scores: those that were asked for.
        every: whether nobody named these, so that some may not be had.
        negatives: by the way of mining.
        images: those to learn from.
        examples: those that are mixed into the labels, and how much they count.
        skipped: told of images that cannot be read.
    """

    scores: tuple[str, ...]
    every: bool
    shaping: Shaping | None
    negatives: Mapping[str, Any]
    images: ImageSet | None
    examples: ImageSet | None
    share: float
    skipped: Skipped

    @classmethod
    def read(
        cls,
        args: argparse.Namespace,
        named: str | None,
        usual: str,
        labels: LabelSet,
        skipped: Skipped | None = None,
    ) -> Given:
        """Of the scores that were named, else of those of the usual ones that can be had.

        Raises:
            ValueError: something cannot be read, is missing, or is of no use.
        """
        from ...scores.shaping import Shaping

        scores, every = names_of(named or usual), not named or named.strip() == ALL
        shaping = Shaping.parse(args.shaping) if args.shaping else None
        asked = [SCORES[name] for name in scores]
        for score in () if every else asked:
            flag = FLAGS.get(score.group)
            missing = {"negatives": not args.negatives, "ID images": not args.fit}
            if flag and missing[score.group]:
                raise ValueError(f"{score.title} needs {GROUPS[score.group]}; give {flag}")
        learns = bool(shaping and shaping.learns) or any(score.learns for score in asked)
        if shaping and shaping.learns and not args.fit:
            raise ValueError(f"--shaping {shaping} learns from ID images; give --fit DIR")
        if args.fit and not learns:
            raise ValueError(
                f"--fit is for what learns, and {few([s.title for s in asked])} learn nothing; "
                "leave it out, or ask for another score"
            )
        ways = sorted(MINED & {need for score in asked for need in score.needs})
        if args.negatives and not ways:
            raise ValueError("--negatives is for neglabel and csp; ask for one, or leave it out")
        images = _images(args.fit, labels) if args.fit else None
        negatives = _negatives(args.negatives, ways, labels)
        share = SHARE if args.example_share is None else args.example_share
        if args.example_share is not None and not args.examples:
            raise ValueError("--example-share is for --examples DIR; give both, or leave it out")
        check_share(share)
        examples = _images(args.examples, labels, "no examples") if args.examples else None
        if examples and examples.classes is None:
            raise ValueError(
                f"{args.examples}: examples lie in a folder a label that bears its name; labels "
                f"are {few(labels.names)}"
            )
        return cls(scores, every, shaping, negatives, images, examples, share, skipped or Skipped())

    def detectors(
        self,
        args: argparse.Namespace,
        backbones: Mapping[str, Backbone],
        labels: LabelSet,
        **more: Any,
    ) -> tuple[dict[str, Detector], tuple[str, ...]]:
        """A detector of each backbone, fitted, and the scores that all of them have.

        Raises:
            ValueError: a score that was named cannot be had; says why.
        """
        refused: dict[str, str] = {}
        made: dict[str, Detector] = {}
        for name, backbone in backbones.items():
            on_error = None if made else self.skipped  # a file is as bad for the next backbone
            made[name] = self._detector(args, backbone, labels, refused, on_error, **more)
        had = []
        for name in self.scores:
            title = SCORES[name].title
            reasons = [f"{title} {lacks}" for d in made.values() if (lacks := d.lacks(name))]
            if name in refused:
                reasons.insert(0, refused[name])
            if not reasons:
                had.append(name)
            elif self.every:
                say(f"left out: {name}: {reasons[0]}{self._remedy(name)}")
            else:
                raise ValueError(reasons[0])
        self._say_groups(args, made, had)
        return made, tuple(had)

    def _detector(
        self,
        args: argparse.Namespace,
        backbone: Backbone,
        labels: LabelSet,
        refused: dict[str, str],
        on_error: Skipped | None,
        **more: Any,
    ) -> Detector:
        from ...detector import Detector

        detector = Detector(
            backbone,
            labels,
            options=score_options(args),
            progress=say,
            negatives=self._mined(backbone, labels),
            shaping=self.shaping,
            classifier=self._classifier(backbone, labels, on_error),
            **more,
        )
        if self.images is None:
            return detector
        if self.every:
            on_refusal: Callable[[str, str], object] | None = refused.setdefault
        else:
            on_refusal = None
        paths, classes = list(self.images.paths()), self.images.classes
        return detector.fit(
            paths, self.scores, classes, on_error or (lambda error: None), on_refusal
        )

    def _classifier(
        self, backbone: Backbone, labels: LabelSet, on_error: Skipped | None
    ) -> Classifier | None:
        """The labels' texts with the examples mixed in; None where there are none."""
        if self.examples is None or self.examples.classes is None:
            return None
        from ...backbones.examples import held_accuracy, read_examples, with_examples

        paths = list(self.examples.paths())
        examples = read_examples(
            backbone, paths, self.examples.classes, on_error or (lambda error: None)
        )
        classifier = backbone.classifier(labels, say)
        if len(examples.classes) > len(examples.classes.unique()):
            held = held_accuracy(classifier, examples, self.share)
            say(
                f"examples: of {held.pictures} pictures, judged with the other half of them, "
                f"{held.mixed:.1%} get their label, {held.text:.1%} by text alone"
            )
        return with_examples(classifier, examples, self.share)

    def _mined(self, backbone: Backbone, labels: LabelSet) -> dict[str, NegativeClassifier]:
        if not self.negatives or not backbone.has_text:
            return {}
        from ...scores.mining import negative_classifier

        return {
            way: negative_classifier(backbone, labels, negatives, say)
            for way, negatives in self.negatives.items()
        }

    def _remedy(self, name: str) -> str:
        group = SCORES[name].group
        given = {"negatives": self.negatives, "ID images": self.images}
        return f"; give {FLAGS[group]}" if group in FLAGS and not given[group] else ""

    def _say_groups(
        self, args: argparse.Namespace, made: Mapping[str, Detector], had: list[str]
    ) -> None:
        """How the negatives are divided, where nobody said into how many groups.

        Raises:
            ValueError: more groups than negatives.
        """
        from ...scores.negatives import groups_of

        told = {}
        for detector in made.values():
            for name in had:
                for way in SCORES[name].needs & MINED:
                    count = len(detector.negatives[way].words)
                    told[name, count] = groups_of(count, args.groups)
        for (name, count), groups in told.items():
            if args.groups is None:
                over = count % groups
                rest = f"; the last {over} of them are left out" if over else ""
                say(f"{SCORES[name].title}: {count} negative labels in {groups} groups{rest}")


def warn_same(fit: str | None, others: Mapping[str, str | None]) -> None:
    """Tell of images that a score is to be tried on and has learned from, by the flags' names."""
    for flag, folder in others.items():
        if fit and folder and _shares(Path(fit).resolve(), Path(folder).resolve()):
            say(
                f"warning: --fit and {flag} share images: a score is higher on those that it "
                "learned from than on new ones; give others"
            )


def _shares(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _images(folder: str, labels: LabelSet, lost: str = "no classes to learn from") -> ImageSet:
    from ...data.sets import ImageSet

    images = ImageSet.from_folder(folder, None, labels)
    if images.strangers:
        say(
            f"warning: {lost}: these folders of {folder} bear no label's name: "
            f"{few(images.strangers)}"
        )
    return images


def _negatives(files: list[str], ways: list[str], labels: LabelSet) -> dict[str, Any]:
    """By the way of mining: a file is of one way, a word list of all that no file is of."""
    if not files:
        return {}
    from ...data.negatives import Negatives

    found: dict[str, Any] = {}
    lists = []
    for file in files:
        negatives = Negatives.load(file)
        if not negatives.is_mined:
            lists.append(file)
            continue
        if negatives.method in found:
            raise ValueError(f"{file} and another file are both of {negatives.method}; give one")
        negatives.check(labels)
        found[negatives.method] = negatives
    if len(lists) > 1:
        raise ValueError(f"{either(lists)} are word lists; give one")
    for file in lists:
        found = {way: Negatives.load(file, way) for way in ways} | found
    if strange := sorted(found.keys() - set(ways)):
        raise ValueError(f"no score that is asked for has negatives of {either(strange)}")
    return found


def _line(name: str, score: Score) -> str:
    return f"  {name:<21} {score.title}: {score.question}"
