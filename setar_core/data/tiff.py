"""What a TIFF says of its samples where Pillow does not listen, and why one is not read."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from PIL import Image, TiffImagePlugin, features

from .formats import MAX_PIXELS

# Pillow's own decoder misreads planes of 16 bits, reversed bits and YCbCr; libtiff does not.
TiffImagePlugin.READ_LIBTIFF = features.check_codec("libtiff")

SUBFILE, FOLDERS = 254, 330
BITS, COMPRESSION, COLOR, CHANNELS, PLANES, COLOR_MAP = 258, 259, 262, 277, 284, 320
TILE_WIDTH, TILE_LENGTH, INK_SET, EXTRA, FORMAT = 322, 323, 332, 338, 339
SIGNED, FLOAT = 2, 3
FLOAT_TOPS = (1.0, 255.0, 65535.0)  # white in floats, which no file tells

COLORS = {
    0: "grey from white",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "inks",
    6: "YCbCr",
    8: "CIELAB",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "sensor mosaic",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear sensor",
}
NUMBERS = {SIGNED: " signed", FLOAT: " float", 5: " complex", 6: " complex"}
OPTIONAL = (34925, 50000, 50001)  # LZMA, Zstandard and WebP, with which not every libtiff is built
# libtiff gives samples in the machine's order, whatever the file's is.
NATIVE = {
    f"{kind}{order}{sign}": f"{kind}N{sign}"
    for kind, sign in (("I;16", "S"), ("I;32", "S"), ("F;32", "F"))
    for order in ("", "B")
}


class Channel(NamedTuple):
    """One channel `(H, W)` as the file means it.

    Attributes:
        values: of the file's own type.
        tops: what the full range may end at; the first that holds every value is it.
        negative: zero is white.
    """

    values: np.ndarray
    tops: tuple[float, ...]
    negative: bool = False


def prepare(image: Image.Image) -> None:
    """Before an opened TIFF is loaded: have its samples taken as libtiff gives them.

    Raises:
        NotImplementedError: a kind that Pillow would misread; the message tells it.
    """
    tags = _tags(image)
    alpha = tuple(tags.get(EXTRA, ()))
    if int(tags.get(SUBFILE, 0)) & 1 and FOLDERS in tags:
        raise NotImplementedError("a preview, as camera raw files begin with")
    if tags.get(COLOR) == 5 and tags.get(INK_SET, 1) != 1:
        raise NotImplementedError("inks that are not CMYK")
    if tags.get(PLANES) == 2 and (1 in alpha or image.mode in ("LA", "PA")):
        raise NotImplementedError("transparency in a plane of its own")
    width, length = int(tags.get(TILE_WIDTH, 0)), int(tags.get(TILE_LENGTH, 0))
    if width * length > MAX_PIXELS:
        raise NotImplementedError(f"tiles of {width} x {length} pixels")
    tiles = cast(Any, image).tile
    if tiles and tiles[0].codec_name == "libtiff":  # then there is one
        raw, *rest = tiles[0].args
        tiles[:] = [tiles[0]._replace(args=(NATIVE.get(raw, raw), *rest))]


def deep(image: Image.Image) -> bool:
    """Whether a loaded TIFF holds one channel of other than unsigned bytes."""
    return image.mode[0] in "IF" or (image.mode == "L" and _format(image) == SIGNED)


def channel(image: Image.Image) -> Channel:
    """The one channel of a loaded TIFF that is `deep`."""
    values, tags, kind = np.asarray(image), _tags(image), _format(image)
    bits = tags.get(BITS, (1,))[0]
    negative = tags.get(COLOR, 0) == 0
    if kind == FLOAT:
        return Channel(values, FLOAT_TOPS, negative)
    if bits == 32:
        values = values if kind == SIGNED else values.view(np.uint32)
        return Channel(values, (255.0, 65535.0), negative)
    if kind == SIGNED:
        return Channel(values.view(np.int8) if bits == 8 else values, (2.0 ** (bits - 1) - 1,))
    return Channel(values, (2.0**bits - 1,), negative)


def restore_palette(image: Image.Image) -> None:
    """Old writers put bytes where 16 bits a colour belong, and everything would be black."""
    colors = _tags(image).get(COLOR_MAP, ())
    if image.mode in ("P", "PA") and colors and max(colors) < 256:
        image.putpalette(bytes(colors), "RGB;L")


def described(file: BinaryIO) -> tuple[str, bool]:
    """The kind of TIFF that a file says it is, such as "3 x 32 bits float, CIELAB, big-endian", and
    whether its offsets and its compression are read wherever Pillow is.

    Raises:
        Exception: whatever Pillow's reader of tags raises on broken ones.
    """
    file.seek(0)
    head = file.read(8)
    if head.startswith(b"MM\0+"):
        return "BigTIFF, big-endian", False
    tags = TiffImagePlugin.ImageFileDirectory_v2(head + (file.read(8) if head[2] == 43 else b""))
    file.seek(tags.next)
    tags.load(file)
    color, compression = int(tags.get(COLOR, 0)), int(tags.get(COMPRESSION, 1))
    bits = "/".join(str(int(bits)) for bits in dict.fromkeys(tags.get(BITS, (1,))[:8]))
    number = NUMBERS.get(tags.get(FORMAT, (1,))[0], "")
    known = compression in TiffImagePlugin.COMPRESSION_INFO and compression not in OPTIONAL
    parts = (
        f"{int(tags.get(CHANNELS, 1))} x {bits} bits{number}",
        COLORS.get(color, f"colour space {color}"),
        "big-endian" if head.startswith(b"MM") else "little-endian",
        *(() if known else (f"compression {compression}",)),
    )
    return ", ".join(parts), known


def _tags(image: Image.Image) -> Any:
    return cast(TiffImagePlugin.TiffImageFile, image).tag_v2


def _format(image: Image.Image) -> int:
    return _tags(image).get(FORMAT, (1,))[0]
