"""What negative labels cost on ViT-B/16 with random weights: ratios and bars in one run.

    python -m tests.speed.negatives [--threads 2] [--sample 1024] [--pairs 20] [--whole]

The time of all of WordNet is that of a sample of its prompts, drawn with a seed, against
open_clip's padded `encode_text` on a smaller sample of the same. The second label set and the
memory are measured on a cache with features of random numbers in the size of WordNet's, the
labels' own reading left out; `--whole` reads all of WordNet instead, which takes minutes. The
memory includes what open_clip's own prompts took.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

from setar_core.backbones.clip import ClipBackbone
from setar_core.data.negatives.methods import METHODS, Mining
from setar_core.data.negatives.words import Words, load_words
from setar_core.detector import Detector
from setar_core.labels import LabelSet, sentence
from setar_core.scores.embeddings import TextFeatures
from setar_core.scores.evidence import NegativeClassifier
from setar_core.scores.mining import mine
from tests.speed.detect import drawn, random_vit, seconds, show

PADDED = 64  # prompts that open_clip reads a round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=1_024, help="prompts of ours a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20, help="of verdicts")
    parser.add_argument("--whole", action="store_true", help="read all of WordNet")
    args = parser.parse_args()
    backbone = random_vit(args.threads)
    model, tokenizer = backbone.model, backbone.tokenizer
    labels = LabelSet.load("imagenet1k")
    words = load_words("wordnet", Mining())
    start = peak()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SETAR_CACHE"] = folder
        for method in METHODS:
            found = embedding(backbone, model, tokenizer, method, args.sample, args.rounds)
            show(f"embedding words ({method}), a sample", found, 0.06)
        if args.whole:
            taken = seconds(lambda: mine(backbone, labels, words, progress=print))
            print(f"{len(words):,} words of WordNet: {taken:.0f} s")
        else:
            fill(backbone, words)
            mine(backbone, labels, words)
        found = [seconds(lambda: mine(backbone, labels, words)) for _ in range(args.rounds)]
        print(f"another set of 1,000 labels: {statistics.median(found):.2f} s (bar 2 s)")
        print(f"memory above the model: {(peak() - start) / 2**30:.2f} GB (bar 1.50)")
        show("verdict with 10,000 negatives", verdicts(backbone, labels, args.pairs), 1.05)


@torch.inference_mode()
def embedding(backbone, model, tokenizer, method: str, sample: int, rounds: int) -> list[float]:
    """Time of a prompt, ours over that of `encode_text` padded to 77 tokens, of all there are."""
    settings = Mining(method)
    words = load_words("wordnet", settings)
    kinds = (("noun", words.nouns), ("adj", words.adjectives))
    sets = [(t, some) for kind, some in kinds for t in settings.templates[kind]]
    draw = random.Random(0)

    def ours(prompts: list[str]) -> None:
        for _ in backbone.reading_outputs(prompts):
            pass

    def theirs(prompts: list[str]) -> None:
        model.encode_text(tokenizer(prompts))

    found = []
    for turn in range(rounds + 1):
        template, some = draw.choices(sets, [len(some) for _, some in sets])[0]
        prompts = [sentence(template, word) for word in draw.sample(some, sample)]
        one = seconds(lambda prompts=prompts: ours(prompts)) / sample
        other = seconds(lambda prompts=prompts: theirs(prompts[:PADDED])) / PADDED
        if turn:  # the first warms up
            found.append(one / other)
    return found


def fill(backbone: ClipBackbone, words: Words) -> None:
    """Keep random features in place of those of all words."""
    features, templates = TextFeatures(backbone), Mining().templates
    for kind, some in (("noun", words.nouns), ("adj", words.adjectives)):
        rows = F.normalize(torch.randn(len(some), features.tower.width), dim=1)
        features.keep(some, templates[kind], rows)


def verdicts(backbone: ClipBackbone, labels: LabelSet, pairs: int) -> list[float]:
    """One photograph: NegLabel's verdict, which tells MCM too, against MCM's alone."""
    classifier = backbone.classifier(labels)
    rows = F.normalize(torch.randn(10_000, classifier.weight.shape[1]), dim=1)
    names = tuple(map(str, range(10_000)))
    mined = {"neglabel": NegativeClassifier(classifier.weight, rows, names, "random")}
    plain = Detector(backbone, labels, "mcm", threshold=1.0, classifier=classifier)
    other = Detector(
        backbone, labels, "neglabel", threshold=1.0, classifier=classifier, negatives=mined
    )
    with tempfile.TemporaryDirectory() as folder:
        path = next(drawn(Path(folder), 1).iterdir())
        plain.verdict(path), other.verdict(path)
        return [
            seconds(lambda: other.verdict(path)) / seconds(lambda: plain.verdict(path))
            for _ in range(pairs)
        ]


def peak() -> int:
    """Bytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
