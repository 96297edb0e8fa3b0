"""What pictures say of themselves: the right pixels at every depth, or the true reason.

Every file is drawn here, so what it means is known; libvips reads it beside us where it can.
"""

import io
import re
import struct
import zlib

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from setar_core.data.images import ImageError, read_image

from .icc import cmyk_profile
from .tiffs import packed, tiff

# Pillow warns of damage that it can read past, and of every BigTIFF.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

HEIGHT, WIDTH = 24, 40
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
RED, GREEN, BLUE = X / (WIDTH - 1), Y / (HEIGHT - 1), (X + Y) / (HEIGHT + WIDTH - 2)
RGB = np.stack([RED, GREEN, BLUE], -1)
ALPHA = np.clip(1.5 * GREEN, 0, 1)[..., None]
GREY = RED[..., None]


@pytest.fixture
def read(tmp_path):
    """The pixels `(H, W, 3)` that we read in the bytes of a file."""

    def read(data, name="picture"):
        (tmp_path / name).write_bytes(data)
        picture = read_image(tmp_path / name)
        assert picture.mode == "RGB"
        return np.asarray(picture).astype(int)

    return read


@pytest.fixture
def refused(read):
    def refused(data):
        with pytest.raises(ImageError) as caught:
            read(data)
        return str(caught.value)

    return refused


def by_vips(data):
    """The same of libvips, over white."""
    image = pyvips.Image.new_from_buffer(data, "")
    image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    pixels = image.cast("uchar").numpy().astype(int)
    return np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3))


def stored(values, bits, sample_format=1):
    """Values of 0..1 as the file holds them."""
    top = {1: 2**bits - 1, 2: 2 ** (bits - 1) - 1, 3: 1}[sample_format]
    return values * top if sample_format == 3 else np.round(values * top).astype(np.int64)


def shown(values, bits=16):
    """What is seen of values of 0..1 that are held in so many bits."""
    held = np.round(values * (2**bits - 1)) / (2**bits - 1)
    return np.broadcast_to(held * 255, (*values.shape[:2], 3))


def over_white(colors, alpha=ALPHA):
    return colors * alpha + 1 - alpha


COLOR_MAP = np.random.default_rng(0).integers(0, 65536, (3, 256))
INKS = np.concatenate([RGB, np.full_like(GREY, 0.2)], -1)


def grey(bits, sample_format=1, white_is_zero=False):
    values = stored(GREY, bits, sample_format)
    shows = shown(1 - GREY if white_is_zero else GREY, min(bits, 16))
    asked = {} if sample_format == 1 else {"sample_format": sample_format}
    return values, {"bits": bits, "photometric": 1 - white_is_zero, **asked}, shows


def coloured(bits, **options):
    return stored(RGB, bits), {"bits": bits, "photometric": 2, **options}, shown(RGB)


def glass(colors, bits, extra, **options):
    """With alpha: 1 premultiplied, 2 not; 0 is a channel that means nothing."""
    held = colors * ALPHA if extra == 1 else colors
    values = stored(np.concatenate([held, ALPHA], -1), bits)
    options = {"bits": bits, "photometric": 2 if colors is RGB else 1, "extra": (extra,), **options}
    return values, options, shown(over_white(colors) if extra else colors)


def palette(bits, wide=True):
    index = (X + Y) % 2**bits
    colors = COLOR_MAP[:, : 2**bits] if wide else COLOR_MAP[:, : 2**bits] // 257
    tags = {320: tuple(colors.ravel().tolist())}
    shows = (colors if not wide else colors / 257).T[index]
    return index[..., None], {"bits": bits, "photometric": 3, "tags": tags}, shows


def inks(bits, **options):
    shows = shown((1 - INKS[..., :3]) * (1 - INKS[..., 3:]))
    return stored(INKS, bits), {"bits": bits, "photometric": 5, **options}, shows


def ycbcr():
    y = RGB @ (0.299, 0.587, 0.114)
    values = np.stack([y, (BLUE - y) / 1.772 + 0.5, (RED - y) / 1.402 + 0.5], -1)
    return stored(values, 8), {"photometric": 6, "tags": {530: (1, 1)}}, shown(RGB)


# What both readers show alike, and what only its maker's word tells.
ALIKE = {
    **{f"grey {bits}": grey(bits) for bits in (1, 2, 4, 8, 16)},
    **{f"white is zero {bits}": grey(bits, white_is_zero=True) for bits in (1, 2, 4, 8)},
    **{f"RGB {bits}": coloured(bits) for bits in (8, 16)},
    **{f"RGB in planes {bits}": coloured(bits, planar=2) for bits in (8, 16)},
    **{f"alpha {bits}": glass(RGB, bits, 2) for bits in (8, 16)},
    **{f"premultiplied {bits}": glass(RGB, bits, 1) for bits in (8, 16)},
    **{f"alpha in planes {bits}": glass(RGB, bits, 2, planar=2) for bits in (8, 16)},
    "grey with alpha": glass(GREY, 8, 2),
    **{f"palette {bits}": palette(bits) for bits in (1, 2, 4, 8)},
    **{f"palette of bytes {bits}": palette(bits, wide=False) for bits in (2, 4, 8)},
}
TOLD = {
    "surplus channel": glass(RGB, 8, 0),
    "CMYK 8": inks(8),
    "CMYK 16": inks(16),
    "CMYK in planes": inks(16, planar=2),
    "float": grey(32, 3),
    "float from white": grey(32, 3, white_is_zero=True),
    "signed 8": grey(8, 2),
    "signed 16": grey(16, 2),
    "signed 32": grey(32, 2),
    "YCbCr": ycbcr(),
}
SMALL_ENDIAN = {  # Pillow knows these in one byte order
    "grey 12": grey(12),
    "grey 32": grey(32),
    "white is zero 16": grey(16, white_is_zero=True),
}
ROUNDED = {  # more than once on the way
    *(kind for kind in ALIKE if "alpha" in kind or "premultiplied" in kind),
    *("CMYK 8", "CMYK 16", "CMYK in planes", "YCbCr"),
}
LAYOUTS = {
    "one strip": {},
    "strips": {"rows": 7},
    "tiles": {"tile": 16},
    "deflate": {"compression": 8},
    "deflated tiles": {"compression": 8, "tile": 16},
    "reversed bits": {"fill_order": 2},
    "reversed and deflated": {"fill_order": 2, "compression": 8},
    "BigTIFF": {"big": True},
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
either_order = pytest.mark.parametrize("order", "<>", ids=["little", "big"])


@either_order
@every_layout
@pytest.mark.parametrize("kind", [*ALIKE, *TOLD, *SMALL_ENDIAN])
def test_a_tiff_is_read_rightly_or_refused_with_its_kind(kind, layout, order, read):
    values, options, shows = (ALIKE | TOLD | SMALL_ENDIAN)[kind]
    options = {**options, **layout, "order": order}
    data = tiff(values, **options)
    try:
        found = read(data)
    except ImageError as error:
        assert "is of a kind of TIFF that is not read here" in str(error)
        rare = "fill_order" in options or (order == ">" and ("big" in options))
        assert rare or (order == ">" and kind in SMALL_ENDIAN)
        return
    assert found.shape == shows.shape
    assert np.abs(found - shows).max() <= (4 if kind in ROUNDED else 1.01)
    if kind in ALIKE and not ("tile" in options and "planar" in options):  # unread by libvips
        assert np.abs(found - by_vips(data)).max() <= 4


UNREAD = {
    "float RGB": (tiff(RGB, 32, photometric=2, sample_format=3), "3 x 32 bits float, RGB"),
    "double": (tiff(GREY, 64, sample_format=3), "1 x 64 bits float, grey"),
    "half": (tiff(GREY, 16, sample_format=3), "1 x 16 bits float, grey"),
    "deep CIELAB": (tiff(stored(RGB, 16), 16, photometric=8), "3 x 16 bits, CIELAB"),
    "ICC Lab": (tiff(stored(RGB, 8), photometric=9), "3 x 8 bits, ICC Lab"),
    "mosaic": (tiff(stored(GREY, 16), 16, photometric=32803), "1 x 16 bits, sensor mosaic"),
    "10 bits": (tiff(stored(GREY, 10), 10, order=">"), "1 x 10 bits, grey, big-endian"),
    "deep alpha": (tiff(stored(RGB[..., :2], 16), 16, extra=(2,)), "2 x 16 bits, grey"),
    "JPEG 2000": (tiff(stored(RGB, 8), photometric=2, compression=34712), "compression 34712"),
    "other inks": (tiff(stored(INKS, 8), photometric=5, tags={332: (2,)}), "inks that are not"),
    "camera raw": (
        tiff(stored(RGB, 8), photometric=2, tags={254: (1,), 330: (8,)}),
        "a preview, as",
    ),
    "NaN": (tiff(GREY * np.nan, 32, sample_format=3), "NaN or infinite values"),
    "infinity": (tiff(GREY + np.inf, 32, sample_format=3), "NaN or infinite values"),
    "huge tiles": (
        tiff(stored(RGB, 8), photometric=2, tile=16, tags={322: (60_000,), 323: (60_000,)}),
        "tiles of 60000 x 60000 pixels",
    ),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_tiff_that_is_not_read_says_what_it_holds(kind, refused):
    data, told = UNREAD[kind]
    said = refused(data)
    assert "is of a kind of TIFF that is not read here (" in said and told in said
    assert "save it as JPEG or PNG" in said


ENCODED = {
    "tif": (
        *("jpeg,Q=100", "lzw,predictor=horizontal", "packbits,bigtiff", "none,miniswhite"),
        *("none,bitdepth=4", "none,premultiply"),
        "deflate,tile,pyramid,tile-width=16,tile-height=16",
    ),
    "png": ("interlace", "palette", "bitdepth=2", "bitdepth=16"),
    "avif": ("lossless,bitdepth=8", "Q=100,bitdepth=10", "Q=100,bitdepth=12"),
    "webp": ("lossless",),
    "jpg": ("Q=100,subsample-mode=off",),
    "gif": ("interlace",),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("colors", [GREY, RGB, np.concatenate([RGB, ALPHA], -1)])
@pytest.mark.parametrize(
    ("kind", "options"), [(kind, each) for kind, every in ENCODED.items() for each in every]
)
def test_what_libvips_writes_is_read_as_libvips_reads_it(kind, options, colors, deep, read):
    top, number = (65535, np.uint16) if deep else (255, np.uint8)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(np.round(colors * top).astype(number)))
    spaces = {(1, False): "b-w", (1, True): "grey16", (3, True): "rgb16", (4, True): "rgb16"}
    image = image.copy(interpretation=spaces.get((colors.shape[2], deep), "srgb"))
    options = f"compression={options}" if kind == "tif" else options
    data = image.write_to_buffer(f".{kind}[{options}]")
    assert np.abs(read(data) - by_vips(data)).max() <= 3


def test_a_tiff_whose_compression_libtiff_may_lack_is_not_called_broken(read):
    image = pyvips.Image.new_from_array(np.round(RGB * 255).astype(np.uint8))
    image = image.copy(interpretation="srgb")
    try:
        found = read(image.write_to_buffer(".tif[compression=webp,lossless]"))
        assert np.abs(found - shown(RGB)).max() <= 1
    except ImageError as error:
        told = "TIFF that is not read here (3 x 8 bits, RGB, little-endian, compression 50001)"
        assert told in str(error)


@pytest.mark.parametrize("at", [9, 200, -40])
def test_a_tiff_that_is_cut_short_is_not_said_to_be_of_another_kind(at, refused):
    assert "broken or cut short" in refused(tiff(stored(RGB, 8), photometric=2)[:at])


def png(values, bits, colour, key=None, interlaced=False, map_=b""):
    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    height, width, _ = values.shape
    passes = [values]
    if interlaced:  # Adam7: where each pass begins, and its steps
        starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2))
        starts += ((0, 1, 2, 2), (1, 0, 2, 1))
        passes = [values[y::down, x::right] for y, x, down, right in starts]
    rows = b"".join(b"\0" + packed(row[None], bits) for part in passes for row in part)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", head) + (chunk(b"PLTE", map_) if map_ else b"")
    if key is not None:
        body += chunk(
            b"tRNS", key if isinstance(key, bytes) else struct.pack(f">{len(key)}H", *key)
        )
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(
    ("bits", "colour"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)]
)
def test_a_colour_key_of_a_png_counts_at_its_own_depth(bits, colour, keyed, interlaced, read):
    values = stored(RGB if colour else GREY, bits)
    values[:4] = values[12, 17] + [1, 0, 0][: values.shape[2]]  # a neighbour of the key, no more
    values %= 2**bits
    key = values[12, 17]
    data = png(values, bits, colour, key.tolist() if keyed else None, interlaced)
    shows = shown(values / (2**bits - 1), bits).copy()
    clear = (values == key).all(-1)
    assert 0 < clear.sum() < clear.size
    shows[clear & keyed] = 255
    found = read(data)
    assert np.abs(found - shows).max() <= 1.01
    assert (found[clear & keyed] == 255).all()
    assert np.abs(found - by_vips(data)).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [4, 6])
def test_a_png_with_alpha(colour, bits, read):
    colors = RGB if colour == 6 else GREY
    data = png(stored(np.concatenate([colors, ALPHA], -1), bits), bits, colour)
    found = read(data)
    assert np.abs(found - shown(over_white(colors))).max() <= 3
    assert np.abs(found - by_vips(data)).max() <= 3


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_png_with_a_palette_of_which_some_colours_are_clear(bits, read):
    index = (X + Y) % 2**bits
    colors = np.random.default_rng(1).integers(0, 256, (2**bits, 3)).astype(np.uint8)
    data = png(index[..., None], bits, 3, b"\xff\0" if bits > 1 else b"\0", map_=colors.tobytes())
    shows = colors.astype(int)
    shows[1 if bits > 1 else 0] = 255
    assert (read(data) == shows[index]).all()
    assert np.abs(read(data) - by_vips(data)).max() <= 1


@pytest.mark.parametrize("top", [1, 3, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_a_pgm_ends_where_it_says(top, plain, read):
    values = np.round(GREY * top).astype(int)
    wide = ">u2" if top > 255 else "u1"
    body = " ".join(map(str, values.ravel())).encode() if plain else values.astype(wide).tobytes()
    found = read(b"P%d %d %d %d\n" % (2 if plain else 5, WIDTH, HEIGHT, top) + body)
    assert np.abs(found - shown(values / top)).max() <= 1.01


@pytest.mark.parametrize("kind", ["pgm", "png", "tif"])
def test_a_deep_picture_that_is_nearly_black_stays_so(kind, read):
    values = np.round(GREY * 255).astype(int)  # of 65,535
    data = {
        "pgm": b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + values.astype(">u2").tobytes(),
        "png": png(values, 16, 0),
        "tif": tiff(values, 16),
    }[kind]
    assert read(data).max() == 1


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_a_big_endian_float_tiff_is_read_as_a_little_endian_one(top, read):
    little, big = (
        read(tiff(GREY * top, 32, order=order, sample_format=3, compression=8)) for order in "<>"
    )
    assert (little == big).all() and np.abs(little - shown(GREY)).max() <= 1.01


def test_whole_numbers_of_32_bits_may_fill_them(read):
    found = read(tiff(stored(GREY, 32), 32))
    assert np.abs(found - shown(GREY)).max() <= 1.01


def test_signed_numbers_below_zero_keep_their_order(read):
    for bits in (8, 16):
        values = stored(GREY, bits, 2) - stored(np.array(0.4), bits, 2)
        row = read(tiff(values, bits, sample_format=2))[0, :, 0]
        assert row[0] == 0 and (np.diff(row) > 0).all()


def gif(box, interlaced=False, **options):
    """One red frame on a canvas of 32 x 32."""
    left, top, right, bottom = box
    frame = Image.new("P", (right - left, bottom - top), 1)
    frame.putpalette([0, 0, 255, 255, 0, 0])
    held = io.BytesIO()
    frame.save(held, "GIF", interlace=interlaced, **options)
    data = bytearray(held.getvalue())
    data[6:10] = struct.pack("<HH", 32, 32)
    at = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[at + 1 : at + 5] = struct.pack("<HH", left, top)
    return bytes(data)


@pytest.mark.parametrize("box", [(0, 0, 16, 16), (8, 4, 20, 30), (31, 31, 32, 32), (0, 0, 32, 32)])
@pytest.mark.parametrize("options", [{}, {"interlaced": True}, {"transparency": 0}])
def test_what_the_first_frame_of_a_gif_leaves_uncovered_is_white(box, options, read):
    left, top, right, bottom = box
    shows = np.full((32, 32, 3), 255)
    shows[top:bottom, left:right] = (255, 0, 0)
    assert (read(gif(box, **options)) == shows).all()


def webp(alpha):
    """An animation whose first frame covers the 8 x 8 pixels from (8, 8) on, of 32 x 32."""
    first, second = (Image.new("RGB", (32, 32), "red") for _ in range(2))
    second.paste("blue", (8, 8, 16, 16))
    held = io.BytesIO()
    first.save(held, "WEBP", save_all=True, append_images=[second, first], lossless=True)
    data = held.getvalue()
    one, two = (at.start() for at in list(re.finditer(b"ANMF", data))[:2])
    data = data[:20] + bytes([data[20] | 0x10 * alpha]) + data[21:one] + data[two:]
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


@pytest.mark.parametrize("alpha", [False, True])
def test_what_the_first_frame_of_a_webp_leaves_uncovered_is_white(alpha, read):
    shows = np.full((32, 32, 3), 255)
    shows[8:16, 8:16] = (0, 0, 255)
    assert (read(webp(alpha)) == shows).all()


def printed(kind, profile=True, **options):
    """A picture in CMYK with the profile that libvips has of its own."""
    image = pyvips.Image.new_from_array(np.round(RGB * 255).astype(np.uint8))
    image = image.copy(interpretation="srgb").icc_export(output_profile="cmyk", depth=8)
    if not profile:
        image = image.copy()
        image.remove("icc-profile-data")
    return image.write_to_buffer(f".{kind}", **options)


@pytest.mark.parametrize(
    ("kind", "options"), [("jpg", {"Q": 100}), ("tif", {}), ("tif", {"compression": "lzw"})]
)
def test_cmyk_is_converted_by_its_profile(kind, options, read):
    data = printed(kind, **options)
    found = read(data)
    image = pyvips.Image.new_from_buffer(data, "")
    beside = image.icc_transform("srgb", embedded=True, black_point_compensation=True).numpy()
    assert np.abs(found - beside).max() <= 3
    assert np.abs(found - read(printed(kind, profile=False, **options))).mean() > 10


def test_cmyk_is_converted_by_a_profile_of_its_own(read):
    values = np.round(INKS * 255).astype(np.uint8)
    data = tiff(values, photometric=5, tags={34675: cmyk_profile()})
    image = pyvips.Image.new_from_buffer(data, "")
    beside = image.icc_transform("srgb", embedded=True, black_point_compensation=True).numpy()
    assert np.abs(read(data) - beside).max() <= 2
    assert np.abs(read(data) - read(tiff(values, photometric=5))).max() > 40


@pytest.mark.parametrize("spoilt", ["broken", "of RGB"])
def test_a_profile_that_says_nothing_of_cmyk_is_passed_over(spoilt, read):
    image = Image.fromarray(np.round(RGB * 255).astype(np.uint8)).convert("CMYK")
    held, plain = io.BytesIO(), io.BytesIO()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(held, "TIFF", icc_profile=srgb if spoilt == "of RGB" else b"no profile" * 20)
    image.save(plain, "TIFF")
    assert (read(held.getvalue()) == read(plain.getvalue())).all()


def saved(kind, size=(64, 48), **options):
    held = io.BytesIO()
    Image.new("RGB", size, "red").save(held, kind, **options)
    return held.getvalue()


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((17_000, 17_000), "is 17000 x 17000, 289.0 megapixels, over the limit of 50"),
        ((2**31, 2**31), "megapixels, over the limit of 50"),
        ((70_000, 10), "longer than 100 times its shorter side"),
    ],
)
def test_an_avif_that_its_decoder_does_not_open_is_too_large(size, told, refused):
    data = saved("AVIF")
    at = data.index(b"ispe") + 8
    assert told in refused(data[:at] + struct.pack(">II", *size) + data[at + 8 :])


def test_other_pictures_in_an_avif_container_are_not_called_broken_avif(refused):
    data = saved("AVIF").replace(b"avif", b"heic").replace(b"avis", b"heic")
    assert "is not an image of a kind that is read here" in refused(data)


def test_a_jpeg_says_what_its_decoder_cannot(refused):
    data = saved("JPEG")
    at = data.index(b"\xff\xc0")
    assert "JPEG that is not read here (cannot handle 12-bit layers)" in refused(
        data[: at + 4] + b"\x0c" + data[at + 5 :]
    )
    long = data[: at + 5] + struct.pack(">HH", 700, 65_535) + data[at + 9 :]
    assert "is 65535 x 700, and no side of such a file may be over 65500 pixels" in refused(long)


@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
@pytest.mark.parametrize("top", [100, 255, 4095])
def test_what_pillow_decodes_value_by_value_is_small(kind, top, refused):
    data = b"%s 2000 2000 %d\n" % (kind.encode(), top) + bytes(100)
    fast = kind in ("P5", "P6") and top == 255
    told = "broken or cut short" if fast else "not read here (over 3 million values"
    assert told in refused(data)


def bmp(alpha):
    """32 bits a pixel with a mask for alpha, as Windows copies a window."""
    pixels = np.round(np.concatenate([RGB, alpha], -1)[::-1] * 255).astype(np.uint8)
    body = pixels[..., [2, 1, 0, 3]].tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(body), 0, 0, 0, 0)
    head += masks + bytes(108 - len(head) - len(masks))
    return b"BM" + struct.pack("<III", 122 + len(body), 0, 122) + head + body


def test_a_bmp_whose_alpha_is_empty_is_opaque(read):
    assert np.abs(read(bmp(0 * ALPHA)) - shown(RGB)).max() <= 1
    assert np.abs(read(bmp(ALPHA)) - shown(over_white(RGB))).max() <= 2


def test_a_bmp_of_another_compression_is_not_called_broken(refused):
    data = saved("BMP")
    assert "that is not read here (Unsupported BMP compression" in refused(
        data[:30] + b"\4" + data[31:]
    )
