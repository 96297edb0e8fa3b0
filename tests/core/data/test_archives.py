"""Zips of visitors: what is in them, what is refused before unpacking, and what is unpacked."""

import io
import shutil
import stat
import struct
import zipfile
import zlib
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from setar_core.data import archives
from setar_core.data.archives import (
    ArchiveError,
    inspect,
    inspect_all,
    unpack,
    unpacking,
    unwrapped,
)
from setar_core.data.archives.directory import directory
from setar_core.data.images import find_images


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
    assert [info.filename for info in inspect(path).images] == [
        "fox/1.png",
        "fox/2.PNG",
        "bee/1.png",
    ]
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


OF_SYSTEMS = [
    *("@eaDir/a.webp/SYNO_THUMB.jpg", "fox/@eaDir/1.png/SYNO_THUMB_M.jpg", "#recycle/1.png"),
    *("@Recycle/1.png", "fox/.@__thumb/s1001.png", "fox/#snapshot/1.png", "@tmp/1.png"),
    *("__MACOSX/fox/._1.png", "fox/.AppleDouble/1.png", "Icon\r", "fox/Icon\r"),
    *("__MACOSX/fox/._Icon\r", "Network Trash Folder/1.png", ".Trashes/501/1.png"),
    *("$RECYCLE.BIN/S-1-5-21/$R1.png", "System Volume Information/1.png", "Thumbs.db"),
    *("lost+found/#12.png", ".Trash-1000/files/1.png", "fox/~snapshot/1.png", "desktop.ini"),
]


@pytest.mark.parametrize("name", OF_SYSTEMS)
def test_what_systems_keep_for_themselves_is_no_image_at_any_depth(name, pack, tmp_path):
    for place in ("", "wrapped/", "a/b/"):
        entries = {f"{place}fox/1.png": png(), f"{place}bee/1.png": png(), f"{place}{name}": png()}
        path = pack(entries)
        assert [info.filename for info in inspect(path).images] == list(entries)[:2]
        for entry, content in entries.items():
            (tmp_path / "folder" / entry).parent.mkdir(parents=True, exist_ok=True)
            is_text = name.endswith((".db", ".ini", "\r"))
            (tmp_path / "folder" / entry).write_bytes(b"text" if is_text else content)
        assert names(tmp_path / "folder") == sorted(list(entries)[:2])
        shutil.rmtree(tmp_path / "folder")


def test_a_zip_with_backslashes_is_read_as_folders(pack, tmp_path):
    path = pack({"set\\": b"", "set\\fox\\1.png": png(), "set\\bee\\1.png": png()})
    assert [info.filename for info in inspect(path).images] == ["set/fox/1.png", "set/bee/1.png"]
    folder = unpack(path, tmp_path / "out")
    assert folder == tmp_path / "out" / "set"
    assert names(folder) == ["bee/1.png", "fox/1.png"]


@pytest.mark.parametrize(
    "names", [("a\\1.png", "a/1.png"), ("a\\1.png", "A/1.PNG"), ("./1.png", "1.png")]
)
def test_names_that_mean_one_file_are_one_name(names, pack):
    with pytest.raises(ArchiveError, match="twice"):
        inspect(pack(dict.fromkeys(names, png())))


@pytest.mark.parametrize("name", ["10:30.png", "um 10:30/1.png", "a/b:c.png"])
def test_a_colon_leads_nowhere(name, pack, tmp_path):
    assert names(unpack(pack({name: png(), "x.png": png()}), tmp_path / "out")) == [name, "x.png"]


@pytest.mark.parametrize("name", ["füchse/1.png", "写真/1.png", "cafe\u0301/1.png"])
def test_names_in_utf8_that_is_not_marked_are_read_as_meant(name, pack, tmp_path):
    path = pack({name: png(), "x/1.png": png()})
    content = path.read_bytes()
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # as macOS packs
        start = content.index(mark) + at
        flags = int.from_bytes(content[start : start + 2], "little") & ~0x800
        content = content[:start] + flags.to_bytes(2, "little") + content[start + 2 :]
    path.write_bytes(content)
    assert names(unpack(path, tmp_path / "out")) == sorted([name, "x/1.png"])


def test_a_single_folder_around_classes_is_unwrapped_and_a_single_class_is_not(pack, tmp_path):
    wrapped = pack({"animals/fox/1.png": png(), "animals/bee/1.png": png()})
    assert unpack(wrapped, tmp_path / "a") == tmp_path / "a" / "animals"
    single = pack({"fox/1.png": png()}, "single.zip")
    assert unpack(single, tmp_path / "b") == tmp_path / "b"
    for name in (".DS_Store", "@eaDir/1.png", "__MACOSX/1.png", "Icon\r"):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).touch()
    assert unwrapped(tmp_path / "a") == tmp_path / "a" / "animals"


HOSTILE = {
    "up": "../evil.png",
    "deep up": "a/../../evil.png",
    "absolute": "/tmp/evil.png",
    "backslash": "..\\evil.png",
    "deep backslash": "a\\..\\..\\evil.png",
    "both": "a/..\\..\\evil.png",
    "root of a disk": "\\evil.png",
    "another machine": "\\\\server\\share\\evil.png",
    "drive": "C:/evil.png",
    "drive and backslash": "C:\\evil.png",
    "relative to a drive": "c:evil.png",
    "bell": "a\x07.png",
    "next line": "a\x85.png",
    "line separator": "a\u2028.png",
    "turned around": "photo\u202egnp.bmp",
    "isolated": "a\u2066b.png",
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


ORDINARY = {
    "narrow space": "Screenshot 2024-05-01 at 9.41.00\u202fAM.png",
    "fixed space": "a\u00a0b.png",
    "wide space": "写真\u3000一.png",
    "joined": "\U0001f468\u200d\U0001f469.png",
    "decomposed": "cafe\u0301/1.png",
    "right to left": "\u200fתמונה.png",
}


@pytest.mark.parametrize("name", ORDINARY.values(), ids=ORDINARY)
def test_names_of_any_script_and_spaces_are_taken(name, pack, tmp_path):
    assert names(unpack(pack({name: png(), "x/y.png": png()}), tmp_path / "out")) == sorted(
        [name, "x/y.png"]
    )


def test_hostile_names_of_other_kinds_are_refused_too(pack):
    with pytest.raises(ArchiveError, match="leads out"):
        inspect(pack({"good.png": png(), "../notes.txt": "x"}))


def test_a_link_is_refused(pack, tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ArchiveError, match="link"):
        unpack(pack({info: "/etc/passwd", "a.png": png()}), tmp_path / "out")


def test_twice_the_same_name_is_refused(pack):
    with pytest.warns(UserWarning):
        path = pack({zipfile.ZipInfo("a.png"): png(), zipfile.ZipInfo("a.png"): png("blue")})
    with pytest.raises(ArchiveError, match="twice"):
        inspect(path)
    with pytest.raises(ArchiveError, match="twice"):
        inspect(pack({"A.png": png(), "a.PNG": png()}, "case.zip"))


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_is_also_a_folder_is_refused(order, pack, tmp_path):
    clash = ["a.png", "A.png/sub/b.png"][::order]
    path = pack({name: png() for name in clash})
    with pytest.raises(ArchiveError, match=r"'a\.png' as an image and as a folder"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    folder = pack({"a.png/": b"", "a.png/b.png": png(), "c.png": png()}, "folder.zip")
    assert names(unpack(folder, tmp_path / "out")) == ["a.png/b.png", "c.png"]


@pytest.mark.parametrize("name", ["a/b.png", "a/b/c/d.png"])
def test_a_file_in_the_way_is_told_without_the_servers_path(name, pack, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("in the way")
    with pytest.raises(ArchiveError) as told:
        unpack(pack({name: png()}), tmp_path / "out")
    assert str(tmp_path) not in str(told.value)


def test_too_many_entries_and_too_many_bytes_are_refused(pack):
    path = pack({f"{i}.png": png() for i in range(30)})
    with pytest.raises(ArchiveError, match="30 entries, over the limit of 20"):
        inspect(path, max_files=20)
    with pytest.raises(ArchiveError, match="unpacks to"):
        inspect(path, max_total=100)


@pytest.fixture
def unparsed(monkeypatch):
    """Fails where the directory of a zip is parsed."""

    def parse(*_):
        raise AssertionError("the directory is parsed")

    return lambda: monkeypatch.setattr(zipfile, "ZipFile", parse)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"as downloaded"])
def test_entries_are_counted_before_the_directory_is_parsed(
    zip64, comment, pack, monkeypatch, unparsed
):
    if zip64:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    path = pack({f"{i}.png": png() for i in range(30)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    assert (b"PK\x06\x06" in path.read_bytes()) == zip64
    assert directory(path).entries == 30
    assert len(inspect(path, max_files=30).images) == 30
    unparsed()
    with pytest.raises(ArchiveError, match="30 entries, over the limit of 20"):
        inspect(path, max_files=20)


def test_a_count_that_lies_does_not_hide_entries(pack, unparsed):
    path = pack({f"{i}.png": png() for i in range(30)})
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    content[end + 8 : end + 12] = struct.pack("<HH", 1, 1)
    path.write_bytes(content)
    unparsed()
    with pytest.raises(ArchiveError, match="30 entries, over the limit of 20"):
        inspect(path, max_files=20)
    content[end + 8 : end + 12] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"60,000 entries, over the limit of 20,000"):
        inspect(path)


def test_a_directory_of_many_bytes_is_not_parsed(pack, monkeypatch, unparsed):
    info = zipfile.ZipInfo("a.png")
    info.comment = bytes(60_000)
    path = pack({info: png()})
    contents = import_module("setar_core.data.archives.contents")
    monkeypatch.setattr(contents, "MAX_DIRECTORY", 50_000)
    unparsed()
    with pytest.raises(ArchiveError, match="directory"):
        inspect(path)


def test_bombs_are_refused_by_their_directory(pack):
    zeros = bytes(10_000_000)
    packed = {"compression": zipfile.ZIP_DEFLATED}
    with pytest.raises(ArchiveError, match="as no photographs do"):
        inspect(pack({f"{i}.bmp": zeros for i in range(4)}, **packed))
    with pytest.raises(ArchiveError, match="over 20 MB"):
        inspect(pack({"big.bmp": bytes(25_000_000)}, "one.zip", **packed))


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    # Each is stored, and quotes the headers behind its own and the picture that all of them share.
    shared, infos = bytes(10_000), []
    for i in range(50):
        info = zipfile.ZipInfo(f"{i}.bmp")
        info.CRC, info.compress_size = zlib.crc32(shared), len(shared)
        info.file_size = info.compress_size
        shared = info.FileHeader() + shared
        infos.append((info, len(shared)))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w") as archive:
        archive.fp.write(shared)
        archive.start_dir, archive._didModify = len(shared), True
        for info, behind in infos:
            info.header_offset = len(shared) - behind
            archive.filelist.append(info)
    with pytest.raises(ArchiveError, match=r"'49\.bmp' overlaps what follows it"):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_packed_size_beyond_the_file_hides_no_bomb(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"{i}.bmp", bytes(10_000_000))
        archive.filelist[-1].compress_size = 2_000_000_000
    with pytest.raises(ArchiveError, match=r"'3\.bmp' overlaps what follows it"):
        inspect(path)


def test_honest_zips_of_every_kind_have_no_overlap(pack, tmp_path):
    for i, compression in enumerate(
        (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    ):
        entries = {"fox/": b"", "fox/é.png": png(), "fox/1.png": png(), "n.txt": "x"}
        path = pack(entries, f"{i}.zip", compression=compression)
        assert len(inspect(path).images) == 2
        prefixed = tmp_path / f"prefixed-{i}.zip"  # as a self-extracting one is
        prefixed.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
        assert names(unpack(prefixed, tmp_path / f"out-{i}"))


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
        inspect(path)


def test_an_entry_packed_in_an_unknown_way_is_refused(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png())
        archive.filelist[0].compress_type = 93  # Zstandard, which only newer Pythons unpack
    with pytest.raises(ArchiveError, match="packed in a way"):
        inspect(path)


def test_broken_lzma_is_told(pack, tmp_path):
    path = pack({"a.png": png()}, compression=zipfile.ZIP_LZMA)
    content = bytearray(path.read_bytes())
    content[content.index(b"a.png") + 5 + 4] = 0xFF  # lc, lp and pb, none of which is allowed
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_a_name_that_is_no_text_in_the_entry_alone_is_told(pack, tmp_path):
    path = pack({"é.png": png()})
    name = "é.png".encode()
    path.write_bytes(path.read_bytes().replace(name, b"\xff\xfe.png", 1))
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("offset", [2**31, 2**63, 2**64 - 1])
def test_an_entry_beyond_the_file_is_told(offset, tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png())
        archive.filelist[0].header_offset = offset
    with pytest.raises(ArchiveError):
        unpack(path, tmp_path / "out")


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
            inspect(path)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ArchiveError, match=r"text\.zip: is not a whole zip"):
        inspect(tmp_path / "text.zip")


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"Rar!\x1a\7\1\0", "is a RAR archive, not a zip; pack the folder as a zip"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not a zip"),
        (b"\x1f\x8b\x08\0", "is packed with gzip, not a zip"),
    ],
)
def test_an_archive_of_another_kind_is_told(start, told, tmp_path):
    (tmp_path / "set.zip").write_bytes(start + bytes(500))
    with pytest.raises(ArchiveError, match=told):
        inspect(tmp_path / "set.zip")


def test_a_zip_without_images_is_refused(pack):
    with pytest.raises(ArchiveError, match="holds no image"):
        inspect(pack({"notes.txt": "x"}))


def test_nothing_is_overwritten(pack, tmp_path):
    path = pack({"a.png": png()})
    unpack(path, tmp_path / "out")
    with pytest.raises(ArchiveError, match="there already"):
        unpack(path, tmp_path / "out")


def test_several_zips_have_one_limit_of_files_bytes_and_ratio(tmp_path):
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.zip")
        with zipfile.ZipFile(paths[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("a.png", "b.png"):
                archive.writestr(name, bytes(4_000_000))
    assert [len(found.images) for found in inspect_all(paths[:2])] == [2, 2]
    with pytest.raises(ArchiveError, match=r"2\.zip: unpacks, with the 2 before it, .* 24 MB"):
        inspect_all(paths)  # each of them is small enough to be dense
    with pytest.raises(ArchiveError, match=r"1\.zip: unpacks, with the 1 before it, to 16 MB"):
        inspect_all(paths, max_total=15_000_000)
    with pytest.raises(ArchiveError, match=r"1\.zip: has 2 entries"):
        inspect_all(paths, max_files=3)
