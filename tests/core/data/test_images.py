"""Reading images: what a file of each kind becomes, and what a bad one says."""

import io
import os
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from setar_core.data.images import MAX_BYTES, Batch, ImageError, batches, find_images, read_image

# Pillow warns of damage that it can read past.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RAMP = np.tile(np.arange(256, dtype=np.uint8), (64, 1))


def photograph(seed: int = 0, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A smooth coloured picture that survives JPEG well."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG written by hand, with any size in its header and any pixel data."""

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert path.name in message and str(path.parent) not in message
    assert "; " in message and "\n" not in message  # reason; remedy
    assert caught.value.path == path
    return message


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "ppm", "tif"])
def test_plain_file_is_exactly_what_pillow_gives(tmp_path, kind):
    path = saved(photograph(), tmp_path / f"fox.{kind}")
    assert (pixels(path) == np.asarray(Image.open(path).convert("RGB"))).all()


def test_avif(tmp_path):
    path = saved(photograph(), tmp_path / "fox.avif", quality=95)
    assert np.abs(pixels(path) - np.asarray(photograph())).mean() < 6


def test_grey_16_bit_png_is_scaled(tmp_path):
    path = saved(Image.fromarray(RAMP.astype(np.uint16) * 257), tmp_path / "grey.png")
    assert (pixels(path) == RAMP[..., None]).all()


def test_rgb_16_bit_png_is_scaled(tmp_path):
    deep = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], -1).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    path = tmp_path / "deep.png"
    path.write_bytes(png(256, 64, rows, depth=16))
    assert np.abs(pixels(path) - deep // 257).max() <= 1


@pytest.mark.parametrize("top", [1, 255, 65535, 3000.0])
def test_float_tiff_is_scaled(tmp_path, top):
    values = RAMP.astype(np.float32) / 255 * top
    path = saved(Image.fromarray(values), tmp_path / "float.tif")
    assert np.abs(pixels(path)[..., 0] - RAMP * (top / 65535 if top == 3000 else 1)).max() <= 1


def test_float_tiff_with_negative_values_keeps_their_order(tmp_path):
    path = saved(Image.fromarray(RAMP.astype(np.float32) - 100), tmp_path / "negative.tif")
    row = pixels(path)[0, :, 0]
    assert (np.diff(row) >= 0).all() and row[0] == 0 and len(set(row)) > 150


def test_float_tiff_with_nan_is_refused(tmp_path):
    values = RAMP.astype(np.float32)
    values[3, 4] = np.nan
    assert "NaN" in refusal(saved(Image.fromarray(values), tmp_path / "nan.tif"))


def test_16_bit_pgm_and_big_endian_tiff(tmp_path):
    deep = RAMP.astype(">u2") * 257
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 256 64 65535\n" + deep.tobytes())
    assert (pixels(path)[..., 0] == RAMP).all()
    big_endian = Image.frombytes("I;16B", (256, 64), deep.tobytes())
    assert (pixels(saved(big_endian, tmp_path / "deep.tif"))[..., 0] == RAMP).all()


def test_cmyk_jpeg(tmp_path):
    path = saved(photograph().convert("CMYK"), tmp_path / "print.jpg", quality=95)
    assert np.abs(pixels(path) - np.asarray(photograph())).mean() < 4


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_palette(tmp_path, kind):
    image = photograph().quantize(16)
    path = saved(image, tmp_path / f"few.{kind}")
    assert (pixels(path) == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_over_white(tmp_path, mode):
    image = Image.new(mode, (4, 4), (0,) * len(mode))  # wholly transparent black
    opaque = Image.new(mode, (2, 4), (0,) * (len(mode) - 1) + (255,))
    image.paste(opaque, (0, 0))
    found = pixels(saved(image, tmp_path / "glass.png"))
    assert (found[:, :2] == 0).all() and (found[:, 2:] == 255).all()


def test_half_transparent_is_half_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 128))
    found = pixels(saved(image, tmp_path / "half.png"))[0, 0]
    assert np.abs(found - [227, 127, 127]).max() <= 1


def test_transparent_palette_entry_and_colour_lie_over_white(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert (pixels(saved(palette, tmp_path / "a.png", transparency=1)) == 255).all()
    assert (pixels(saved(palette, tmp_path / "a.gif", transparency=1)) == 255).all()
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    assert (pixels(saved(keyed, tmp_path / "b.png", transparency=(1, 2, 3))) == 255).all()


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tif"])
def test_animation_gives_its_first_frame(tmp_path, kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"loop.{kind}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert Image.open(path).n_frames == 3
    assert (pixels(path) == [255, 0, 0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "lzw.tif", "avif"])
def test_exif_orientation_is_undone(tmp_path, orientation, kind):
    upright = photograph(size=(48, 32))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the transpose that stores it
    turned = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 98}, "avif": {"quality": 98}, "webp": {"lossless": True}}
    options |= {"lzw.tif": {"compression": "tiff_lzw"}}
    found = pixels(saved(turned, tmp_path / f"turned.{kind}", exif=exif, **options.get(kind, {})))
    assert found.shape == (32, 48, 3)
    assert np.abs(found - np.asarray(upright)).mean() < 4


def test_broken_exif_does_not_cost_the_picture(tmp_path):
    path = saved(photograph(), tmp_path / "notes.jpg", exif=b"Exif\0\0MM\0*\0\0\xff\xff\1\2\3")
    assert read_image(path).size == (48, 32)


def test_lab_tiff(tmp_path):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(photograph(), srgb, lab, outputMode="LAB")
    found = pixels(saved(image, tmp_path / "lab.tif"))
    assert np.abs(found - np.asarray(photograph())).mean() < 3


def test_extension_is_never_believed(tmp_path):
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(png(1, 1, b"\0\1\2\3"))
    assert pixels(path).tolist() == [[[1, 2, 3]]]
    path = tmp_path / "note.jpg"
    path.write_text("this is not a picture\n" * 100)
    assert "not an image" in refusal(path)


def test_formats_that_run_other_programs_are_never_tried(tmp_path):
    path = tmp_path / "drawing.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert "not an image" in refusal(path)


def test_what_is_not_a_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.png")
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refusal(tmp_path / "folder.png")
    (tmp_path / "empty.png").touch()
    assert "empty" in refusal(tmp_path / "empty.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")  # and does not wait for a writer


def test_name_with_a_line_break_stays_on_one_line(tmp_path):
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "a\nb\x1b[31m.png")
    assert str(caught.value).startswith(r"a\nb\x1b[31m.png: ")


def test_file_over_the_byte_limit_is_not_opened(tmp_path):
    path = saved(photograph(), tmp_path / "padded.png")
    with path.open("ab") as file:
        file.truncate(MAX_BYTES + 1)
    assert "20.0 MB" in refusal(path)
    with path.open("ab") as file:
        file.truncate(MAX_BYTES)
    assert read_image(path).size == (48, 32)


@pytest.mark.parametrize("size", [(50_001, 1_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size, bytes(1000)))  # decoding it would say that it is cut short
    assert "megapixels" in refusal(path)


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (10, 1001)])
def test_strips_are_refused_before_decoding(tmp_path, size):
    path = tmp_path / "strip.png"
    path.write_bytes(png(*size, b""))
    assert "100 times" in refusal(path)


def test_longest_strip_that_is_allowed(tmp_path):
    assert read_image(saved(Image.new("RGB", (10, 1000)), tmp_path / "strip.png")).size == (
        10,
        1000,
    )


def test_gif_frame_larger_than_its_screen(tmp_path):
    path = saved(Image.new("P", (4, 4)), tmp_path / "grows.gif")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x2c", 13)  # the image descriptor
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)
    refusal(path)


def test_text_that_inflates_too_far(tmp_path):
    note = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(100_000_000)))
    data = png(1, 1, b"\0\1\2\3")
    path = tmp_path / "inflates.png"
    path.write_bytes(data[:33] + note + data[33:])
    refusal(path)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "bmp", "tif", "ppm"])
def test_truncated_file_is_refused(tmp_path, kind):
    data = saved(photograph(size=(200, 150)), tmp_path / f"whole.{kind}").read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: len(data) // 2])
    assert "broken or cut short" in refusal(path)


def test_folders_are_walked_in_sorted_path_order(tmp_path):
    names = ["b/2.png", "b/10.png", "a/z.JPG", "c.webp", "b/.hidden.png", "b/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"broken")
    saved(photograph(), tmp_path / "a" / "no-extension", format="PNG")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "fox.jpg").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])]
    assert found == ["a/no-extension", "a/z.JPG", "b/10.png", "b/2.png", "c.webp"]


def test_files_are_taken_as_given(tmp_path):
    saved(photograph(), tmp_path / "b.png")
    given = [tmp_path / "b.png", tmp_path / "absent.png", tmp_path / "a.txt"]
    assert find_images([*map(str, given), tmp_path]) == [*given, tmp_path / "b.png"]


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "deeper").mkdir(parents=True)
    outside.mkdir()
    saved(photograph(), outside / "secret.png")
    saved(photograph(), inside / "own.png")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "linked").symlink_to(outside)
    (inside / "deeper" / "same.png").symlink_to(inside / "own.png")
    found = [path.relative_to(inside).as_posix() for path in find_images([inside])]
    assert found == ["deeper/same.png", "own.png"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    def scandir(folder):
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return opened(folder)

    opened = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    saved(photograph(), tmp_path / "own.png")
    (tmp_path / "lost+found" / "closed").mkdir(parents=True)
    assert find_images([tmp_path]) == [tmp_path / "own.png"]
    (tmp_path / "below" / "closed").mkdir(parents=True)
    with pytest.raises(ImageError, match=r"closed: this folder cannot be read \(Permission denied"):
        find_images([tmp_path])


def test_folder_without_images_says_so(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(ImageError, match=f"{tmp_path.name}: this folder holds no image; put"):
        find_images([tmp_path])


def tensor(image: Image.Image):
    import torch

    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float()


@pytest.fixture
def folder(tmp_path):
    for i in range(11):
        saved(photograph(i), tmp_path / f"{i:02}.png")
    (tmp_path / "04.png").write_bytes(b"broken")
    (tmp_path / "10.png").write_bytes(b"broken")
    return tmp_path


@pytest.mark.parametrize("size", [1, 3, 4, 9, 64])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_keep_order_and_report_bad_files(folder, size, workers):
    import torch

    paths = find_images([folder])
    bad: list[str] = []
    found = list(batches(paths, tensor, size, workers, lambda error: bad.append(error.path.name)))
    assert bad == ["04.png", "10.png"]
    assert all(isinstance(batch, Batch) and len(batch.paths) <= size for batch in found)
    good = [path for path in paths if path.name not in bad]
    assert [path for batch in found for path in batch.paths] == good
    expected = torch.stack([tensor(read_image(path)) for path in good])
    assert torch.equal(torch.cat([batch.pixels for batch in found]), expected)


def test_bad_file_raises_when_nobody_listens(folder):
    with pytest.raises(ImageError, match=r"04\.png"):
        list(batches(find_images([folder]), tensor, 4))


def test_no_paths_and_only_bad_paths(folder):
    assert list(batches([], tensor)) == []
    bad: list[ImageError] = []
    assert list(batches([folder / "04.png"], tensor, on_error=bad.append)) == []
    assert len(bad) == 1


@pytest.mark.parametrize("wrong", [{"size": 0}, {"workers": 0}])
def test_wrong_batch_settings_are_refused_at_the_call(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        batches([], tensor, **wrong)


def test_decoding_runs_ahead_and_stops_at_its_bound(folder):
    started: list[int] = []

    def counted(image):
        started.append(1)
        return tensor(image)

    ahead = batches([folder / "00.png"] * 60, counted, size=5)
    next(ahead)
    deadline = time.monotonic() + 10
    while len(started) < 15 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(started) == 15  # the batch in hand and two ahead
    ahead.close()


def test_stopping_early_leaves_no_thread(folder):
    before = threading.active_count()
    ahead = batches([folder / "00.png"] * 200, tensor, size=4)
    next(ahead)
    assert threading.active_count() > before
    ahead.close()
    assert threading.active_count() == before


def test_decoding_overlaps_with_the_consumer(folder):
    def slow(image):
        time.sleep(0.02)
        return tensor(image)

    def seconds(preprocess, consumer: float) -> float:
        start = time.perf_counter()
        for _ in batches([folder / "00.png"] * 40, preprocess, size=4, workers=2):
            time.sleep(consumer)
        return time.perf_counter() - start

    # Two workers need 0.04 s for a batch of four, as long as its consumer does.
    apart = seconds(slow, 0) + seconds(tensor, 0.04)
    assert seconds(slow, 0.04) < 0.8 * apart


def test_importing_does_not_load_torch():
    import subprocess
    import sys

    code = "import setar_core.data.images, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bytes_of_a_picture_are_not_changed_by_reading(tmp_path):
    path = saved(photograph(), tmp_path / "fox.jpg", quality=90)
    before = path.read_bytes()
    first, second = read_image(path), read_image(path)
    assert first.tobytes() == second.tobytes() and path.read_bytes() == before
    assert first.tobytes() == Image.open(io.BytesIO(before)).convert("RGB").tobytes()
