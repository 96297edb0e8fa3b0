"""What is said of files that strangers wrote."""

import json
import struct

import pytest
from safetensors import SafetensorError

from setar_core.adapter import Adapter
from setar_core.backbones.checkpoints import check_safetensors
from setar_core.data import strict
from setar_core.detector import Detector


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unknown variant `\x7f16`", "unknown variant `\\x7f16`"),
        ("two\nlines\x1b[31m", "two lines\\x1b[31m"),
        ("a half \udc80", "a half \\udc80"),
        ("größer", "größer"),
        ("x" * 5000, "x" * 300),
    ],
)
def test_a_librarys_reason_is_one_line_that_can_be_seen(text, said):
    assert strict.said(SafetensorError(text)) == said


def test_no_message_about_tensors_repeats_what_nobody_can_see(tmp_path, clip, labels):
    header = json.dumps(
        {"knn.bank": {"dtype": "\x7f\x1b16", "shape": [1], "data_offsets": [0, 2]}},
        ensure_ascii=False,
    ).encode()
    file = tmp_path / "bad.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    detector = Detector(clip, labels)
    for read in (check_safetensors, Adapter.load, detector.with_fit):
        with pytest.raises(ValueError, match="not a safetensors file") as raised:
            read(file)
        assert str(raised.value).isprintable()
