"""Mutated zips and tars of images."""

import io
import shutil
import tarfile
import zipfile

import pytest
from PIL import Image

from setar_core.data.archives import unpack
from setar_core.data.images import find_images, read_image
from setar_core.data.sets import ImageSet
from setar_core.labels import LabelSet
from tests.fuzz.mutate import hunt


def packed(compression):
    picture, held = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "PNG")
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name in ("fox/1.png", "fox\\é.png", "notes.txt", "__MACOSX/._1.png"):
            archive.writestr(name, picture.getvalue())
        archive.comment = b"as downloaded"
    return held.getvalue()


SEEDS = [
    packed(kind)
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
]


@pytest.mark.filterwarnings("ignore::UserWarning:zipfile")  # of names that occur twice
def test_a_mutated_zip_is_unpacked_or_refused(fuzz_seconds, tmp_path):
    path, out = tmp_path / "set.zip", tmp_path / "out"

    def read(data):
        path.write_bytes(data)
        try:
            unpack(path, out)
            assert not any(found.is_symlink() for found in out.rglob("*"))
        finally:
            shutil.rmtree(out, ignore_errors=True)
        assert set(tmp_path.iterdir()) == {path}

    taken, refused = hunt(read, SEEDS, fuzz_seconds)
    assert taken and refused


def sharded(style):
    picture, held = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "PNG")
    members = {"1.png": picture.getvalue(), "1.cls": b"1", "2.json": b'{"label": "bee"}'}
    members |= {"2.png": picture.getvalue(), f"{'n' * 150}.png": picture.getvalue(), "3.pkl": b"."}
    with tarfile.open(fileobj=held, mode="w", format=style) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


SHARDS = [sharded(style) for style in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]


def test_a_mutated_shard_is_read_or_refused(fuzz_seconds, tmp_path):
    path, labels = tmp_path / "set.tar", LabelSet(("bee", "fox"))

    def read(data):
        path.write_bytes(data)
        ImageSet.from_folder(path, None, labels)
        for image in find_images([path]):
            read_image(image)
        assert set(tmp_path.iterdir()) == {path}

    taken, refused = hunt(read, SHARDS, fuzz_seconds)
    assert taken and refused
