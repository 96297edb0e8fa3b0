"""TIFFs written by hand: of any depth, order, polarity and layout, as no one library writes."""

import struct
import zlib

import numpy as np

KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # SampleFormat -> numpy's letter
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def tiff(
    samples: np.ndarray,
    bits: int = 8,
    order: str = "<",
    photometric: int = 1,
    sample_format: int | None = None,
    extra: tuple[int, ...] = (),
    planar: int = 1,
    compression: int = 1,
    fill_order: int = 1,
    rows: int | None = None,
    tile: int | None = None,
    big: bool = False,
    tags: dict[int, tuple[int, ...] | bytes] | None = None,
) -> bytes:
    """A TIFF of `samples (H, W, C)`, in strips of `rows` rows or in square tiles.

    Compression 1 (none) and 8 (deflate) are written. `tags` come on top: numbers or bytes.
    """
    height, width, channels = samples.shape
    kind = KINDS[sample_format or 1]
    planes = [samples] if planar == 1 else list(np.moveaxis(samples, 2, 0)[..., None])
    chunks = []
    for plane in planes:
        for part in _parts(plane, rows or height, tile):
            data = packed(part, bits, order, kind)
            data = zlib.compress(data) if compression == 8 else data
            chunks.append(data.translate(REVERSED) if fill_order == 2 else data)
    entries: dict[int, tuple[int, ...] | bytes] = {
        256: (width,),
        257: (height,),
        258: (bits,) * channels,
        259: (compression,),
        262: (photometric,),
        277: (channels,),
        284: (planar,),
    }
    if fill_order != 1:
        entries[266] = (fill_order,)
    if sample_format:
        entries[339] = (sample_format,) * channels
    if extra:
        entries[338] = extra
    places, lengths = (324, 325) if tile else (273, 279)
    entries |= {322: (tile,), 323: (tile,)} if tile else {278: (rows or height,)}
    entries |= {places: (0,) * len(chunks), lengths: tuple(map(len, chunks)), **(tags or {})}
    return _written(entries, places, chunks, order, big)


def _parts(plane, rows, tile):
    height, width, _ = plane.shape
    if not tile:
        return [plane[y : y + rows] for y in range(0, height, rows)]
    full = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    return [
        full[y : y + tile, x : x + tile]
        for y in range(0, height, tile)
        for x in range(0, width, tile)
    ]


def packed(part: np.ndarray, bits: int, order: str = ">", kind: str = "u") -> bytes:
    """Rows `(H, W, C)` one after the other, each begun at a byte."""
    if bits in (8, 16, 32, 64):
        return part.astype(f"{order}{kind}{bits // 8}").tobytes()
    rows = part.reshape(len(part), -1).astype(np.uint32)
    each = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(part), -1).astype(np.uint8), axis=1).tobytes()


def _written(entries, places, chunks, order, big):
    count, number = ("Q", "Q") if big else ("H", "I")
    inline, head = (8, 16) if big else (4, 8)
    body, start = b"", head
    offsets = []
    for chunk in chunks:
        offsets.append(start + len(body))
        body += chunk + bytes(len(chunk) % 2)
    entries[places] = tuple(offsets)
    directory = b""
    for tag, value in sorted(entries.items()):
        if isinstance(value, bytes):
            kind, length, data = 7, len(value), value
        elif tag in (places, 279, 325) or max(value) > 65535:
            kind, length, data = 4, len(value), struct.pack(f"{order}{len(value)}I", *value)
        else:
            kind, length, data = 3, len(value), struct.pack(f"{order}{len(value)}H", *value)
        if len(data) > inline:
            place = start + len(body)
            body += data + bytes(len(data) % 2)
            data = struct.pack(order + number, place)
        directory += struct.pack(f"{order}HH{number}", tag, kind, length) + data.ljust(
            inline, b"\0"
        )
    mark = b"II" if order == "<" else b"MM"
    opening = (
        mark + struct.pack(f"{order}HHHQ", 43, 8, 0, start + len(body))
        if big
        else mark + struct.pack(f"{order}HI", 42, start + len(body))
    )
    end = struct.pack(order + number, 0)
    return opening + body + struct.pack(order + count, len(entries)) + directory + end
