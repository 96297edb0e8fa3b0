"""What a verdict costs beyond the network itself: ratios in one run, ViT-B/16, random weights.

    python -m tests.speed.detect [--photos DIR] [--threads 2] [--rounds 5]

Each figure is the median of ratios of neighbouring runs, ours and open_clip's in turn, so that a
machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image, ImageFilter

from setar_core.backbones.clip import ClipBackbone
from setar_core.data.images import find_images
from setar_core.detector import Detector
from setar_core.labels import LabelSet


def random_vit(threads: int) -> ClipBackbone:
    """ViT-B/16 with random weights, the same ones each time, on so many threads."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-16")
    return ClipBackbone("ViT-B-16/random", model, preprocess, open_clip.get_tokenizer("ViT-B-16"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", metavar="DIR", help="photographs (drawn JPEGs of 500 x 375)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    backbone = random_vit(args.threads)
    model, tokenizer = backbone.model, backbone.tokenizer
    labels = LabelSet.load("imagenet1k")
    with tempfile.TemporaryDirectory() as folder:
        paths = find_images([args.photos or drawn(Path(folder))])[:200]
        detector = Detector(backbone, labels, "gl_mcm", threshold=1.0)
        show("verdict of one image", one_image(detector, model, paths, args.rounds), 1.20)
        show("text features of 1,000 labels", text(detector, model, tokenizer, args.rounds), 0.12)
        show("time of a folder", folder_rate(detector, model, paths), 1 / 0.90)


@torch.inference_mode()
def one_image(detector: Detector, model, paths: list[Path], rounds: int) -> list[float]:
    """MCM, GL-MCM, labels and patch map, against open_clip's preprocess and `encode_image`."""

    def theirs() -> None:
        for path in paths[:4]:
            with Image.open(path) as image:
                model.encode_image(detector.backbone.preprocess(image)[None])

    def ours() -> None:
        for path in paths[:4]:
            detector.verdict(path)

    return ratios(ours, theirs, 3 * rounds)


@torch.inference_mode()
def text(detector: Detector, model, tokenizer, rounds: int) -> list[float]:
    """The labels of ImageNet, against `encode_text` of the same prompts padded to 77 tokens."""
    prompts = list(detector.labels.prompts)

    def theirs() -> None:
        for part in tokenizer(prompts).split(200):
            model.encode_text(part)

    return ratios(
        lambda: detector.backbone.classifier(detector.labels), theirs, max(2, rounds // 2)
    )


@torch.inference_mode()
def folder_rate(detector: Detector, model, paths: list[Path]) -> list[float]:
    """All files read, decoded, scored, against `encode_image` alone on batches of the same size."""
    pixels = torch.randn(16, 3, 224, 224)

    def theirs() -> None:
        for _ in range(0, len(paths), 16):
            model.encode_image(pixels)

    return ratios(lambda: list(detector.verdicts(paths)), theirs, 2)


def ratios(ours: Callable, theirs: Callable, rounds: int) -> list[float]:
    ours()
    theirs()
    return [seconds(ours) / seconds(theirs) for _ in range(rounds)]


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(what: str, found: list[float], bar: float) -> None:
    low, high = min(found), max(found)
    print(f"{what:32} {statistics.median(found):.3f} (bar {bar:.2f}; {low:.3f} to {high:.3f})")


def drawn(folder: Path, count: int = 200) -> Path:
    """Smooth noise as JPEG files of a photograph's size."""
    random = np.random.default_rng(0)
    for i in range(count):
        noise = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((500, 375)).filter(ImageFilter.GaussianBlur(1))
        image.save(folder / f"{i:03}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    main()
