"""Zips of visitors: what is in them, what is refused before unpacking, and what is unpacked."""

import io
import stat
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from setar_core import archives
from setar_core.archives import ArchiveError, look, unpack, unpacking
from setar_core.images import find_images


def png(colour="red", side=8):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def pack(tmp_path):
    """Writes a zip of names to bytes."""

    def write(entries, name="set.zip", **options):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", **options) as archive:
            for entry, content in entries.items():
                archive.writestr(entry, content)
        return path

    return write


def names(folder):
    return [path.relative_to(folder).as_posix() for path in find_images([folder])]


def test_images_are_unpacked_where_they_are_named(pack, tmp_path):
    path = pack({"fox/1.png": png(), "fox/2.PNG": png("blue"), "bee/1.png": png()})
    assert [info.filename for info in look(path).images] == ["fox/1.png", "fox/2.PNG", "bee/1.png"]
    assert list(unpacking(path, tmp_path / "steps")) == [(1, 3), (2, 3), (3, 3)]
    folder = unpack(path, tmp_path / "out")
    assert names(folder) == ["bee/1.png", "fox/1.png", "fox/2.PNG"]
    assert (folder / "fox" / "2.PNG").read_bytes() == png("blue")


def test_what_is_no_image_and_what_is_hidden_is_passed_over(pack, tmp_path):
    path = pack(
        {
            "a.png": png(),
            "README.txt": "notes",
            ".hidden.png": png(),
            "__MACOSX/._a.png": b"resource",
            "inner.zip": b"PK",
            "empty/": b"",
        }
    )
    assert names(unpack(path, tmp_path / "out")) == ["a.png"]


def test_a_single_folder_around_classes_is_unwrapped_and_a_single_class_is_not(pack, tmp_path):
    wrapped = pack({"animals/fox/1.png": png(), "animals/bee/1.png": png()})
    assert unpack(wrapped, tmp_path / "a") == tmp_path / "a" / "animals"
    single = pack({"fox/1.png": png()}, "single.zip")
    assert unpack(single, tmp_path / "b") == tmp_path / "b"


HOSTILE = {
    "up": "../evil.png",
    "deep up": "a/../../evil.png",
    "absolute": "/tmp/evil.png",
    "backslash": "..\\evil.png",
    "drive": "C:/evil.png",
    "bell": "a\x07.png",
    "long": f"{'a' * 300}.png",
    "deep": "/".join("abcdefghijklmnop") + "/x.png",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(name, pack, tmp_path):
    path = pack({"good.png": png(), name: png()})
    with pytest.raises(ArchiveError, match="name"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_hostile_names_of_other_kinds_are_refused_too(pack):
    with pytest.raises(ArchiveError, match="leads out"):
        look(pack({"good.png": png(), "../notes.txt": "x"}))


def test_a_link_is_refused(pack, tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ArchiveError, match="link"):
        unpack(pack({info: "/etc/passwd", "a.png": png()}), tmp_path / "out")


def test_twice_the_same_name_is_refused(pack):
    with pytest.warns(UserWarning):
        path = pack({zipfile.ZipInfo("a.png"): png(), zipfile.ZipInfo("a.png"): png("blue")})
    with pytest.raises(ArchiveError, match="twice"):
        look(path)
    with pytest.raises(ArchiveError, match="twice"):
        look(pack({"A.png": png(), "a.PNG": png()}, "case.zip"))


def test_too_many_entries_and_too_many_bytes_are_refused(pack):
    path = pack({f"{i}.png": png() for i in range(30)})
    with pytest.raises(ArchiveError, match="30 entries, over the limit of 20"):
        look(path, max_files=20)
    with pytest.raises(ArchiveError, match="unpacks to"):
        look(path, max_total=100)


def test_bombs_are_refused_by_their_directory(pack):
    zeros = bytes(10_000_000)
    packed = {"compression": zipfile.ZIP_DEFLATED}
    with pytest.raises(ArchiveError, match="as no photographs do"):
        look(pack({f"{i}.bmp": zeros for i in range(4)}, **packed))
    with pytest.raises(ArchiveError, match="over 20 MB"):
        look(pack({"big.bmp": bytes(25_000_000)}, "one.zip", **packed))


def test_a_directory_that_lies_about_sizes_is_found_out(pack, tmp_path):
    path = pack({"a.png": bytes(5_000_000)}, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    true, lie = struct.pack("<L", 5_000_000), struct.pack("<L", 1000)
    assert content.count(true) == 2  # in the entry and in the directory
    path.write_bytes(content.replace(true, lie))
    with pytest.raises(ArchiveError, match=r"cannot be unpacked|larger than it says"):
        unpack(path, tmp_path / "out")
    written = sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written <= archives.CHUNK


def test_an_encrypted_entry_is_refused(pack):
    path = pack({"a.png": png()})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="password"):
        look(path)


def test_broken_zips_are_told_and_never_crash(pack, tmp_path):
    whole = pack({f"{i}.png": png() for i in range(5)}, compression=zipfile.ZIP_DEFLATED)
    content = whole.read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(150):
        broken = bytearray(content)
        if trial % 3 == 0:
            del broken[int(rng.integers(1, len(broken))) :]
        else:
            for _ in range(int(rng.integers(1, 6))):
                broken[int(rng.integers(len(broken)))] = int(rng.integers(256))
        path = tmp_path / f"broken-{trial}.zip"
        path.write_bytes(broken)
        try:
            unpack(path, tmp_path / f"out-{trial}")
        except ArchiveError as error:
            assert "\n" not in str(error)
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(ArchiveError):
            look(path)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ArchiveError, match=r"text\.zip: is not a whole zip"):
        look(tmp_path / "text.zip")


def test_a_zip_without_images_is_refused(pack):
    with pytest.raises(ArchiveError, match="holds no image"):
        look(pack({"notes.txt": "x"}))


def test_nothing_is_overwritten(pack, tmp_path):
    path = pack({"a.png": png()})
    unpack(path, tmp_path / "out")
    with pytest.raises(ArchiveError, match="there already"):
        unpack(path, tmp_path / "out")
