"""A small CMYK profile written by hand: its table says what each ink and mixture looks like."""

import struct

import numpy as np

GRID = 2  # full and none of each ink


def cmyk_profile() -> bytes:
    """ICC version 2, in 3 kB: paper is white, any ink by itself takes its light away."""
    levels = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), -1).reshape(-1, 4)
    light = (1 - levels[:, :3]) * (1 - levels[:, 3:])
    lab = np.stack([light.mean(1) * 255, 128 + 90 * (light[:, 0] - light[:, 1]),
                    128 + 90 * (light[:, 1] - light[:, 2])], -1)  # fmt: skip
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1" + bytes(4) + bytes((4, 3, GRID, 0)) + matrix + straight * 4
    table += lab.round().clip(0, 255).astype(np.uint8).tobytes() + straight * 3
    tags = {
        b"A2B0": table,
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
    }
    place, listed, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        listed += name + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s", place + len(body), b"none", 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + listed + body
