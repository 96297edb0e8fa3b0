"""What the samples of an opened picture mean: RGB with 8 bits a channel, over white."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from PIL import Image, ImageCms

from . import tiff
from .tiff import Channel

# Decoders that Pillow has written in Python: a microsecond a value, in which nobody else is served.
SLOW = ("ppm", "ppm_plain", "bmp_rle")
MAX_SLOW = 3_000_000  # values, three a pixel in colour

Box = tuple[int, int, int, int]  # left, top, right, bottom
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


class Header(NamedTuple):
    """What Pillow forgets of a file once its pixels are there.

    Attributes:
        raw: how a PNG's samples lie in it, such as "L;4" or "RGB;16B"; "" of other formats.
        frame: the part of the canvas that an animation's first frame covers; None: all of it.
    """

    raw: str = ""
    frame: Box | None = None


def header(image: Image.Image, file: BinaryIO) -> Header:
    """Of an image that is opened from `file` and not loaded yet; a TIFF is made ready for that.

    Raises:
        NotImplementedError: a kind that Pillow would misread, or read for seconds.
    """
    tiles = cast(Any, image).tile
    if tiles and tiles[0].codec_name in SLOW:
        width, height = image.size
        if width * height * len(image.getbands()) > MAX_SLOW:
            told = f"over {MAX_SLOW // 10**6} million values as text, in runs or of an odd range"
            raise NotImplementedError(told)
    if image.format == "TIFF":
        tiff.prepare(image)
    elif image.format == "PNG" and tiles:
        return Header(raw=str(tiles[0].args))
    elif image.format == "GIF" and tiles:
        return Header(frame=tiles[0].extents)
    elif image.format == "WEBP" and image.mode == "RGB":  # where alpha is, libwebp uses it
        return Header(frame=_webp_frame(file))
    return Header()


def rgb(image: Image.Image, told: Header, file: BinaryIO) -> Image.Image:
    """The loaded image as a picture of its own: RGB, what is transparent laid over white.

    A colour key holds at the file's own depth. CMYK is converted by its profile where it has one
    that can be used, and what an animation's first frame leaves uncovered is white.
    """
    if image.format == "PNG" and "transparency" in image.info and image.mode != "P":
        picture = _keyed(image, told.raw, file)
    elif (channel := _channel(image)) is not None:
        picture = Image.fromarray(_eight_bits(channel)).convert("RGB")
    elif image.mode == "CMYK":
        picture = _printed(image)
    else:
        picture = _over_white(image)
    if told.frame in (None, (0, 0, *picture.size)):
        return picture
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture.crop(told.frame), told.frame)
    return canvas


def _channel(image: Image.Image) -> Channel | None:
    """What has one channel that is no plain byte, and so is not Pillow's to convert."""
    if image.format == "TIFF":
        tiff.restore_palette(image)
        return tiff.channel(image) if tiff.deep(image) else None
    if image.mode == "F":
        return Channel(np.asarray(image), tiff.FLOAT_TOPS)
    if image.mode.startswith("I"):  # a PNG's 16 bits, or a PGM that Pillow scales to as many
        return Channel(np.asarray(image), (65535.0,))
    return None


def _eight_bits(channel: Channel) -> np.ndarray:
    """A channel `(H, W)` scaled to 0..255.

    Its full range is the first of `tops` that holds every value, else the largest value; values
    below zero, if any, move the lower end.
    """
    values = channel.values
    if not np.isfinite(values).all():
        raise NotImplementedError("NaN or infinite values")
    low, high = min(float(values.min()), 0.0), float(values.max())
    top = next((top for top in channel.tops if high <= top), high)
    scaled = (values.astype(np.float32) - low) * np.float32(255 / (top - low))
    levels = (scaled + 0.5).astype(np.uint8)
    return 255 - levels if channel.negative else levels


def _keyed(image: Image.Image, raw: str, file: BinaryIO) -> Image.Image:
    """A PNG whose pixels of one colour are transparent; the key counts at the file's depth."""
    key = np.array(image.info.pop("transparency"))
    if image.mode == "1":  # Pillow has scaled this key
        clear = np.asarray(image.convert("L")) == key
    elif raw == "RGB;16B":  # Pillow keeps the high bytes
        file.seek(0)
        with Image.open(file, formats=("PNG",)) as low:
            tiles = cast(Any, low).tile
            tiles[:] = [tile._replace(args="RGB;16L") for tile in tiles]
            halves = np.asarray(image) == key >> 8, np.asarray(low) == key & 255
        clear = np.logical_and(*halves).all(-1)
    elif image.mode == "I;16":
        clear = np.asarray(image) == key
    else:
        bits = int(raw.partition(";")[2] or 8)
        clear = np.asarray(image) == (key & 2**bits - 1) * (255 // (2**bits - 1))
        clear = clear.all(-1) if image.mode == "RGB" else clear
    picture = rgb(image, Header(), file)
    picture.paste("white", None, Image.fromarray(clear))
    return picture


def _printed(image: Image.Image) -> Image.Image:
    """CMYK by its own profile; a profile that is broken or of another space is passed over."""
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info.get("icc_profile") or b""))
        if profile.profile.xcolor_space.strip() == "CMYK":
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(
                image, profile, srgb, INTENT, outputMode="RGB", flags=FLAGS
            )
            return cast(Image.Image, converted)
    except (ImageCms.PyCMSError, OSError):
        pass
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        image = image.convert("RGB")  # Windows leaves alpha empty and means opaque
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _webp_frame(file: BinaryIO) -> Box | None:
    """Where the first frame of an animated WebP lies; None of a still one."""
    file.seek(12)
    while len(start := file.read(8)) == 8:
        length = int.from_bytes(start[4:], "little")
        if start[:4] == b"ANMF":
            x, y, width, height = (int.from_bytes(file.read(3), "little") for _ in range(4))
            return 2 * x, 2 * y, 2 * x + width + 1, 2 * y + height + 1
        file.seek(length + length % 2, os.SEEK_CUR)
    return None
