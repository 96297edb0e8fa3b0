"""Photographs are told from drawn scenes; the trees met none of those that are here."""

from pathlib import Path

import pytest
from PIL import Image

from assets.build.benchmark import COUNTS, save_picture, scenes_of
from setar_core import photographs
from setar_core.data.images import find_images, read_image
from setar_core.paths import BENCHMARK, EXAMPLES
from setar_core.photographs import is_photograph

FRESH = 404  # a draw that nothing else uses


def share(paths):
    return sum(is_photograph(read_image(path)) for path in paths) / len(paths)


def test_nineteen_of_twenty_photographs_are_told(shared):
    kinds = ("imagenet", "flowers", "scenes", "textures")
    found = {kind: find_images([str(shared(f"real/{kind}"))]) for kind in kinds}
    shares = {kind: share(paths) for kind, paths in found.items()}
    assert min(shares.values()) >= 0.9, shares
    count = sum(map(len, found.values()))
    assert sum(shares[kind] * len(paths) for kind, paths in found.items()) >= 0.95 * count


def test_shipped_scenes_are_none():
    paths = find_images([str(BENCHMARK)])[::4]
    assert share(paths) <= 0.01
    assert share(find_images([str(EXAMPLES)])) == 0


def test_freshly_drawn_scenes_are_none(tmp_path):
    for name, count in COUNTS.items():
        for number, scene in enumerate(scenes_of(name, count // 6, FRESH)):
            save_picture(scene.picture, tmp_path / name / f"{number:03}.webp")
    assert share(find_images([str(tmp_path)])) <= 0.01


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (128, 128), (2000, 20)])
@pytest.mark.parametrize("colour", [0, 255, (200, 10, 60)])
def test_plain_pictures_have_statistics_too(size, colour):
    image = Image.new("RGB", size, colour)
    found = photographs.statistics(image)
    assert found.shape == photographs.statistics(read_image(Path(EXAMPLES / "fox.webp"))).shape
    assert not is_photograph(image)
