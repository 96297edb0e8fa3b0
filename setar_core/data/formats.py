"""Which kinds of image are read, up to which sizes, and how a file tells its kind."""

from __future__ import annotations

import re

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_ASPECT = 100
MAX_SIDE = {"JPEG": 65_500}  # pixels; libjpeg reads no longer ones, though a JPEG may be

# Multi-picture JPEGs are opened by the JPEG reader; AVIF came with Pillow 11.3.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
READABLE = ", ".join(FORMATS)

# The last four are not read here, and are better reported than passed over.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif"),
    *(".heic", ".jp2", ".ico", ".psd"),
)

HEAD = 2**16  # bytes in which a file says what it is
MARKS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n",),
    "GIF": (b"GIF8",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
AVIF_SIZE = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)


def signature(head: bytes) -> str | None:
    """The format that a file's first bytes tell; the two letters of a BMP or PPM are too few."""
    for name, marks in MARKS.items():
        if head.startswith(marks):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
        return "AVIF" if brands & {b"avif", b"avis"} else None
    return None


def avif_size(head: bytes) -> tuple[int, int] | None:
    """The largest width and height that an AVIF names, which libavif refuses before it tells."""
    sizes = [
        (int.from_bytes(width, "big"), int.from_bytes(height, "big"))
        for width, height in AVIF_SIZE.findall(head)
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
