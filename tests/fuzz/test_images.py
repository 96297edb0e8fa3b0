"""Mutated images of every format that is read."""

import io

import numpy as np
import pytest
from PIL import Image

from setar_core.data.images import read_image
from tests.core.data.icc import cmyk_profile
from tests.core.data.tiffs import tiff
from tests.fuzz.mutate import hunt

# Pillow warns of damage that it can read past.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::UserWarning:setar_core")

SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
GLASS = SMALL.convert("RGBA")
GLASS.putalpha(SMALL.convert("L"))
FRAMES = {"save_all": True, "append_images": (0, 1)}  # turned by these


def saved(kind, image=SMALL, **options):
    held, image = io.BytesIO(), image.copy()  # Pillow keeps some options in what it saves
    if turns := options.pop("append_images", ()):
        options["append_images"] = [image.transpose(turn) for turn in turns]
    image.save(held, kind, **options)
    return held.getvalue()


def deep(bits, channels=1, **options):
    values = np.random.default_rng(1).integers(0, 2**bits, (5, 7, channels))
    return tiff(values, bits, **options)


SEEDS = {
    "jpeg": [
        saved("JPEG"),
        saved("JPEG", progressive=True),
        saved("JPEG", SMALL.convert("L")),
        saved("JPEG", SMALL.convert("CMYK"), icc_profile=cmyk_profile()),
        saved("MPO", **FRAMES),
    ],
    "png": [
        saved("PNG"),
        saved("PNG", GLASS),
        saved("PNG", SMALL.quantize(9), transparency=3),
        saved("PNG", SMALL.convert("L"), transparency=9, bits=4),
        saved("PNG", Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800)),
        saved("PNG", **FRAMES),
    ],
    "webp": [saved("WEBP"), saved("WEBP", GLASS, lossless=True), saved("WEBP", **FRAMES)],
    "gif": [saved("GIF"), saved("GIF", SMALL.quantize(9), transparency=3), saved("GIF", **FRAMES)],
    "bmp": [saved("BMP"), saved("BMP", GLASS), saved("BMP", SMALL.quantize(9))],
    "tiff": [
        deep(8, 3, photometric=2),
        deep(8, 3, photometric=6, tags={530: (1, 1)}),
        deep(12),
        deep(16, photometric=0),
        deep(16, 3, photometric=2, planar=2, order=">", compression=8),
        deep(8, 4, photometric=2, extra=(1,), tile=16),
        deep(8, 4, photometric=5, big=True, tags={34675: cmyk_profile()}),
        deep(4, photometric=3, tags={320: tuple(range(48))}),
        deep(32, sample_format=3, order=">"),
        *(saved("TIFF", compression=way) for way in ("tiff_lzw", "packbits", "jpeg")),
        saved("TIFF", SMALL.convert("1"), compression="group4"),
        saved("TIFF", **FRAMES),
    ],
    "ppm": [saved("PPM"), saved("PPM", SMALL.convert("F")), b"P2 2 2 4095\n1 2 3 4095\n"],
    "avif": [saved("AVIF"), saved("AVIF", GLASS), saved("AVIF", **FRAMES)],
}


@pytest.mark.parametrize("kind", SEEDS)
def test_a_mutated_image_is_read_or_refused(kind, fuzz_seconds, tmp_path):
    path = tmp_path / "picture"

    def read(data):
        path.write_bytes(data)
        picture = read_image(path)
        assert picture.mode == "RGB" and min(picture.size) > 0

    taken, refused = hunt(read, SEEDS[kind], fuzz_seconds)
    assert taken >= len(SEEDS[kind]) and refused
