"""Safe decoding of one image.

A file is judged by its bytes and never by its extension, its sizes are checked before decoding, and
what is wrong is said in an `ImageError` that names the file.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_ASPECT = 100

# Multi-picture JPEGs are opened by the JPEG reader; AVIF came with Pillow 11.3.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
READABLE = ", ".join(FORMATS)

# What Pillow's readers raise on broken or hostile bytes: each parses its own headers.
DECODING_ERRORS = (
    OSError,  # truncated data, unknown signature
    SyntaxError,  # broken PNG chunks, broken headers
    ValueError,  # impossible sizes and modes, text chunks that inflate too far
    TypeError,
    AttributeError,
    LookupError,  # missing TIFF tags, short tables
    ArithmeticError,  # zero divisions and overflows in sizes
    AssertionError,
    EOFError,
    NotImplementedError,
    RuntimeError,  # libwebp, libavif
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # an error where warnings are
)

# EXIF orientation (tag 0x0112) -> what turns the picture upright.
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """A file that cannot be judged; the message names the file, the reason and the remedy."""

    def __init__(self, path: str | os.PathLike[str], reason: str, remedy: str):
        name = repr(Path(path).name)[1:-1]  # control characters would break a line of output
        super().__init__(f"{name}: {reason}; {remedy}")
        self.path = Path(path)


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, RGB with 8 bits a channel, upright.

    Turned by its EXIF orientation, transparency laid over white, deeper channels scaled to 8 bits,
    the first frame of an animation. A plain RGB file gives exactly the pixels that Pillow gives.

    Raises:
        ImageError: not a file, not an image, broken, or over MAX_BYTES, MAX_PIXELS, MAX_ASPECT.
    """
    path = Path(path)
    try:
        with open(path, "rb", opener=_opener) as file:
            _check_file(path, os.fstat(file.fileno()))
            return _decoded(path, file)
    except FileNotFoundError:
        raise ImageError(path, "no such file", "check the path") from None
    except IsADirectoryError:
        raise ImageError(path, "is a folder", "give the images in it") from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise ImageError(path, reason, "check the path and its permissions") from None


def _opener(name: str, flags: int) -> int:
    """Opens without waiting for the other end of a named pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(path, "is not a regular file", "give an image file")
    if status.st_size == 0:
        raise ImageError(path, "is empty (0 bytes)", "save or download it again")
    if status.st_size > MAX_BYTES:
        reason = f"is {status.st_size / 1e6:.1f} MB, over the limit of {MAX_BYTES / 1e6:.0f} MB"
        raise ImageError(path, reason, "save it smaller or with more compression")


def _decoded(path: Path, file: BinaryIO) -> Image.Image:
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(path, image.size)
            image.load()
            _check_size(path, image.size)  # a frame may grow past what the header said
            orientation = _orientation(image)
            picture = _rgb(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        reason = f"is not an image of a kind that is read here ({READABLE})"
        raise ImageError(path, reason, "save it as JPEG or PNG in an image editor") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = f"has more pixels than the limit of {MAX_PIXELS / 1e6:.0f} megapixels"
        raise ImageError(path, reason, "make it smaller") from None
    except DECODING_ERRORS as error:
        reason = f"is broken or cut short ({_first_line(error)})"
        raise ImageError(path, reason, "save or download it again") from None
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < 1:
        raise ImageError(path, f"is {width} x {height} pixels", "give an image that is not empty")
    if width * height > MAX_PIXELS:
        reason = (
            f"is {width} x {height}, {width * height / 1e6:.1f} megapixels, over the limit of "
            f"{MAX_PIXELS / 1e6:.0f}"
        )
        raise ImageError(path, reason, "make it smaller")
    if max(size) > MAX_ASPECT * min(size):
        reason = f"is {width} x {height}, longer than {MAX_ASPECT} times its shorter side"
        raise ImageError(path, reason, "crop the part that matters")


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 to 8; None where there is none or its block cannot be parsed."""
    try:
        return image.getexif().get(ORIENTATION)
    except DECODING_ERRORS:  # the picture is whole; only its notes are broken
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.copy()
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """One channel (H, W) scaled to 0..255.

    16-bit values use their full range. The range of 32-bit integers and floats is not written in
    the file: it is the smallest of 0-1 (floats), 0-255 and 0-65535 that holds every value, else the
    largest value; negative values, if any, move its lower end.
    """
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite values")
    low, high = float(values.min()), float(values.max())
    ranges = [65535.0] if mode.startswith("I;") else [255.0, 65535.0]
    top = next((top for top in ([1.0] if mode == "F" else []) + ranges if high <= top), high)
    low = min(low, 0.0)
    scaled = (values.astype(np.float32) - low) * np.float32(255 / (top - low))
    return (scaled + 0.5).astype(np.uint8)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
