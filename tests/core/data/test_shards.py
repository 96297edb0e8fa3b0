"""Tars as WebDataset keeps them: which images are in them, and what broken ones do."""

import gzip
import io
import json
import pickle
import random
import tarfile
from collections import Counter

import pytest
from PIL import Image

from setar_core.data.images import ImageError, each_image, find_images, read_image
from setar_core.data.names import Names, Paths
from setar_core.data.sets import ImageSet, open_sets
from setar_core.data.shards import expanded, labels_in, opened
from setar_core.labels import LabelSet


def png(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def pack(tmp_path):
    """Makes a tar of names and bytes; its path."""

    def make(name, *members):
        with tarfile.open(tmp_path / name, "w") as tar:
            for member, data in members:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return tmp_path / name

    return make


def inside(path):
    return [str(image.relative_to(path)) for image in find_images([path])]


def test_a_sample_has_one_image_and_one_label(pack):
    path = pack(
        "a.tar",
        ("1.png", png("red")), ("1.cls", b"3\n"), ("1.json", b'{"label": 5}'),
        ("2.json", json.dumps({"class": "bee"}).encode()), ("2.PNG", png("blue")),
        ("2.jpg", png()), ("3.seg.png", png()), ("3.png", png()), ("3.json", b"[" * 9_000),
        ("d/1.webp", png("lime")), ("4.cls", b"1"), ("5.pkl", pickle.dumps(1)),
    )  # fmt: skip
    passed = Counter()
    found = list(each_image([path], passed))
    assert [str(one.relative_to(path)) for one in found] == ["1.png", "2.PNG", "3.png", "d/1.webp"]
    assert list(labels_in(path)) == ["3", "bee", None, None]
    assert passed == {"second images of a sample": 1, ".seg.png": 1, ".pkl": 1}
    colours = [read_image(one).getpixel((0, 0)) for one in found]
    assert colours == [(255, 0, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0)]


def test_links_and_names_that_lead_elsewhere_are_passed_over(pack, tmp_path):
    (tmp_path / "secret.png").write_bytes(png())
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
    hostile = ["../secret.png", "/etc/a.png", "._x.png", "a/\x1b[2J.png", "b.tar/1.png"]
    path = pack("a.tar", (link, b""), *((name, png()) for name in hostile), ("ok.png", png()))
    assert inside(path) == ["ok.png"]
    assert sum(opened(path).passed.values()) == 6
    with pytest.raises(ImageError, match=r"a\.tar/nothing\.png: is not in this shard"):
        read_image(path / "nothing.png")


def test_the_first_of_one_name_is_the_one(pack):
    path = pack("a.tar", ("1.png", png("red")), ("2.png", png()), ("1.png", png("blue")))
    assert inside(path) == ["1.png", "2.png"]
    assert read_image(path / "1.png").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kept", [1, 2])
def test_a_shard_that_is_cut_short_keeps_what_is_before(pack, kept):
    path = pack("a.tar", *((f"{i}.png", png()) for i in range(3)))
    content = path.read_bytes()
    start = opened(path).spans[kept][0]
    for end in (start + 3, start - 100, start - 512):
        path.write_bytes(content[:end])
        *whole, rest = find_images([path])
        assert [one.name for one in whole] == ["0.png", "1.png"][:kept] and rest == path
        with pytest.raises(ImageError, match=rf"a\.tar: .*, behind {kept} images; pack it or"):
            read_image(path)
        assert all(read_image(one).size == (8, 8) for one in whole)


def test_what_is_no_tar_is_one_image_that_cannot_be_read(tmp_path, pack):
    packed = gzip.compress(pack("b.tar", ("1.png", png())).read_bytes())
    for content, said in (
        (b"x" * 2000, "is broken"),
        (packed, "packed with gzip"),
        (b"", "broken"),
    ):
        (tmp_path / "a.tar").write_bytes(content)
        assert find_images([tmp_path / "a.tar"]) == [tmp_path / "a.tar"]
        with pytest.raises(ImageError, match=said):
            read_image(tmp_path / "a.tar")


def test_mutated_tars_are_read_or_reported(pack):
    name = "n" * 150 + ".png"  # in a header of its own
    path = pack("a.tar", ("1.png", png()), (name, png()), ("2.cls", b"1"), ("2.png", png()))
    content, drawn = path.read_bytes(), random.Random(0)
    heads = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(drawn.choice((1, 3))):
            changed[drawn.choice(heads) + drawn.randrange(512)] = drawn.randrange(256)
        path.write_bytes(changed[: drawn.choice((len(changed), drawn.randrange(len(changed))))])
        opened.__globals__["_headers"].cache_clear()
        try:
            for one in find_images([path]):
                read_image(one)
        except ImageError as error:
            assert "a.tar" in str(error)


def test_braces_and_folders_name_shards(pack, tmp_path):
    for i in (8, 9, 10):
        pack(f"s-{i:02d}.tar", (f"{i}.png", png()))
    names = ["8.png", "9.png", "10.png"]
    for given in (tmp_path / "s-{08..10}.tar", tmp_path / "s-{08,09,10}.tar", tmp_path):
        assert [one.name for one in find_images([given])] == names
    Image.new("RGB", (4, 4)).save(tmp_path / "loose.png")
    assert [one.name for one in find_images([tmp_path])] == ["loose.png"]  # not both
    assert [str(one) for one in expanded(["{2..1}{a,b}{x}"])] == [
        "2a{x}",
        "2b{x}",
        "1a{x}",
        "1b{x}",
    ]
    with pytest.raises(ValueError, match="names over"):
        list(expanded(["{1..9999}{1..9999}"]))


def test_a_shard_without_images_is_refused(pack):
    with pytest.raises(ImageError, match="this tar holds no image"):
        find_images([pack("a.tar", ("1.txt", b"a"))])


def test_packed_names_are_found_where_they_are_first():
    words = ["a", "b", "a", "ü/\udcff", "c", "b"]
    names = Names(words)
    assert list(names) == words and names[3] == words[3] and names[1:3] == ["b", "a"]
    assert [names.place(word) for word in words] == [0, 1, 0, 3, 4, 1]
    assert names.place("z") is None and "c" in names and names.place("\ud800") is None
    assert names.first.tolist() == [True, True, False, True, True, False]
    some = Paths(names)[1::2]
    assert list(map(str, some)) == ["b", words[3], "b"] and str(some[1:][0]) == words[3]


LABELS = LabelSet(("bee", "fox", "owl"))


@pytest.mark.parametrize(
    ("said", "classes", "strangers"),
    [
        ((b"fox", b"bee", b"Owl"), (1, 0, 2), ()),
        ((b"2", b"0", b"2"), (2, 0, 2), ()),
        ((b"fox", b"cat", b"bee"), None, ("cat",)),
        ((b"2", b"0", b"3"), None, ("3",)),
        ((b"fox", b"bee", b""), None, ()),
    ],
)
def test_shards_tell_the_classes_of_a_set(pack, said, classes, strangers):
    for number, text in enumerate(said):
        folder = pack(f"s-{number}.tar", ("1.png", png()), ("1.cls", text)).parent
    found = ImageSet.from_folder(folder / "s-{0..2}.tar", None, LABELS)
    assert (found.classes, found.strangers) == (classes, strangers)
    assert found.files == ("s-0.tar/1.png", "s-1.tar/1.png", "s-2.tar/1.png")


def test_one_shard_is_a_set(pack):
    path = pack("s.tar", ("1.png", png()), ("d/2.png", png()))
    found = ImageSet.from_folder(path)
    assert found.files == ("1.png", "d/2.png") and found.path(1) == path / "d" / "2.png"


def test_sets_that_share_a_shard_are_refused(pack):
    for number in range(3):
        folder = pack(f"s-{number}.tar", ("1.png", png())).parent
    with pytest.raises(ValueError, match=r"s-1\.tar is in two of the sets"):
        open_sets(folder / "s-{0..1}.tar", [folder / "s-{1..2}.tar"], LABELS)
    with pytest.raises(ValueError, match="share images"):
        open_sets(folder, [folder / "s-1.tar"], LABELS)
    with pytest.raises(ValueError, match=r"s-3\.tar: no such shard"):
        ImageSet.from_folder(folder / "s-{0..3}.tar")
    (folder / "d").mkdir()
    with pytest.raises(ValueError, match="names several folders"):
        ImageSet.from_folder(str(folder / "{d,s-1.tar}"))
