"""Safe decoding of one image.

A file is judged by its bytes and never by its extension, its sizes are checked before decoding, and
what is wrong is said in an `ImageError` that names the file.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from . import tiff
from .formats import (
    FORMATS,
    HEAD,
    MAX_ASPECT,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    READABLE,
    avif_size,
    signature,
)
from .samples import header, rgb

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

# How they say that a whole file is of a kind that they do not know.
UNREAD = re.compile(r"(?i)\b(unsupported|not (yet )?supported|cannot handle|unknown)\b")
REMEDY = "save it as JPEG or PNG in an image editor"

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
        self.path = Path(path)
        name = repr(_shown(self.path))[1:-1]  # control characters would break a line of output
        super().__init__(f"{name}: {reason}; {remedy}")


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, RGB with 8 bits a channel, upright.

    Turned by its EXIF orientation, transparency laid over white, deeper channels scaled to 8 bits
    by the range that the file says, CMYK converted by its profile, the first frame of an animation.
    A plain RGB file gives exactly the pixels that Pillow gives.

    Raises:
        ImageError: not a file, not an image, of a kind that no decoder here reads, broken, or over
            MAX_BYTES, MAX_PIXELS, MAX_ASPECT.
    """
    path = Path(path)
    try:
        with open(path, "rb", opener=_opener) as file:
            _check_file(path, os.fstat(file.fileno()))
            return decode_image(path, file)
    except FileNotFoundError:
        raise ImageError(path, "no such file", "check the path") from None
    except IsADirectoryError:
        raise ImageError(path, "is a folder", "give the images in it") from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise ImageError(path, reason, "check the path and its permissions") from None


def check_bytes(path: Path, size: int) -> None:
    """Raises ImageError for a file of no bytes, or of more than MAX_BYTES."""
    if size == 0:
        raise ImageError(path, "is empty (0 bytes)", "save or download it again")
    if size > MAX_BYTES:
        reason = f"is {size / 1e6:.1f} MB, over the limit of {MAX_BYTES / 1e6:.0f} MB"
        raise ImageError(path, reason, "save it smaller or with more compression")


def _shown(path: Path) -> str:
    """The file's name; in a shard, with the shard's before it."""
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if part.lower().endswith(".tar")), -1)
    return "/".join(parts[first:])


def _opener(name: str, flags: int) -> int:
    """Opens without waiting for the other end of a named pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(path, "is not a regular file", "give an image file")
    check_bytes(path, status.st_size)


def decode_image(path: Path, file: BinaryIO) -> Image.Image:
    """As `read_image`, of bytes whose number was checked; errors name the path."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(path, image.size, MAX_SIDE.get(image.format or ""))
            told = header(image, file)
            image.load()
            _check_size(path, image.size)  # a frame may grow past what the header said
            orientation = _orientation(image)
            picture = rgb(image, told, file)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = f"has more pixels than the limit of {MAX_PIXELS / 1e6:.0f} megapixels"
        raise ImageError(path, reason, "make it smaller") from None
    except DECODING_ERRORS as error:
        raise _refusal(path, file, error) from None
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _refusal(path: Path, file: BinaryIO, error: BaseException) -> ImageError:
    """Why no decoder took the file, as far as the file and the decoder of its kind tell."""
    file.seek(0)
    start = file.read(HEAD)
    kind = signature(start)
    if isinstance(error, UnidentifiedImageError):
        if kind is None:
            reason = f"is not an image of a kind that is read here ({READABLE})"
            return ImageError(path, reason, REMEDY)
        if kind == "AVIF" and (size := avif_size(start)):
            try:
                _check_size(path, size)
            except ImageError as too_large:
                return too_large
        error = _own_error(kind, file) or error
    told = _first_line(error)
    unread = UNREAD.search(told) or isinstance(error, NotImplementedError)
    if kind == "TIFF" and not isinstance(error, NotImplementedError):
        with suppress(*DECODING_ERRORS):  # a broken list of tags tells no kind
            described, known = tiff.described(file)
            told, unread = (described, True) if unread or not known else (told, False)
    if unread:
        reason = f"is of a kind of {kind or 'image'} that is not read here ({told})"
        return ImageError(path, reason, REMEDY)
    detail = "" if told.startswith("decoder error") else f" ({told})"  # a bare number
    return ImageError(path, f"is broken or cut short{detail}", "save or download it again")


def _own_error(kind: str, file: BinaryIO) -> BaseException | None:
    """What the reader of one format raises, of which Pillow says no more than that it failed."""
    file.seek(0)
    try:
        Image.OPEN[kind][0](file, "")
    except DECODING_ERRORS as error:
        return error
    return None


def _check_size(path: Path, size: tuple[int, int], longest: int | None = None) -> None:
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
    if longest and max(size) > longest:
        reason = f"is {width} x {height}, and no side of such a file may be over {longest} pixels"
        raise ImageError(path, reason, "make it smaller")


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 to 8; None where there is none or its block cannot be parsed."""
    try:
        return image.getexif().get(ORIENTATION)
    except DECODING_ERRORS:  # the picture is whole; only its notes are broken
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
