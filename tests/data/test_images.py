import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bench.data.images import centre_crop, decode
from bench.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_colours_and_grey(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(decode(path, None, 1.0, False, "data"), RGB.transpose(2, 0, 1))
    grey = decode(path, None, 1.0, True, "data")
    assert grey.shape == (1, 5, 7)
    luma = RGB @ [0.299, 0.587, 0.114]
    assert np.abs(grey[0] - luma).max() <= 1
    flat = save(tmp_path / "b.png", RGB[:, :, 0])
    np.testing.assert_array_equal(decode(flat, None, 1.0, False, "data"), np.stack([RGB[:, :, 0]] * 3))
    clear = save(tmp_path / "c.png", np.dstack([RGB, np.zeros((5, 7), np.uint8)]))
    np.testing.assert_array_equal(decode(clear, None, 1.0, False, "data"), RGB.transpose(2, 0, 1))
    palette = tmp_path / "d.png"
    Image.fromarray(RGB[:, :, :1].repeat(3, axis=2)).quantize(256).save(palette)
    np.testing.assert_array_equal(decode(palette, None, 1.0, True, "data")[0], RGB[:, :, 0])


GRID = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def exif(orientation):
    written = Image.Exif()
    written[0x0112] = orientation
    return written


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_mode_is_turned(tmp_path, mode):
    picture = Image.fromarray(GRID).convert(mode)
    suffix = "jpg" if mode == "CMYK" else "png"
    as_it_is, turned = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    picture.save(as_it_is)
    picture.save(turned, exif=exif(3))
    upright = decode(as_it_is, None, 1.0, False, "data")
    np.testing.assert_array_equal(decode(turned, None, 1.0, False, "data"), upright[:, ::-1, ::-1])


def test_exif_that_says_nothing(tmp_path):
    """Damaged as in some files of ImageNet, without a warning."""
    whole = exif(6).tobytes()
    for index, content in enumerate([whole[: len(whole) // 2], b"Exif\0\0nothing", whole[:8] + b"\xff" * 40]):
        path = save(tmp_path / f"{index}.jpg", GRID, exif=content, quality=95)
        assert decode(path, None, 1.0, False, "data").shape == (3, 16, 24)


def png_of(width, depth, kind, row):
    """A PNG file of one row as it stands in the file: Pillow writes neither 16-bit colours nor 4-bit grey."""
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_not_cut_off(tmp_path, kind, channels):
    (tmp_path / "deep.png").write_bytes(png_of(1, 16, kind, b"\x01\xff" * channels))
    with pytest.raises(UserError, match=r"deep\.png' has (16 bits a channel|pixels of mode 'I;16'); give 8-bit"):
        decode(tmp_path / "deep.png", None, 1.0, False, "data")


def test_few_bits_reach_from_black_to_white(tmp_path):
    for depth, row in ((1, 0b01000000), (2, 0b00110110), (4, 0x0F)):
        (tmp_path / "few.png").write_bytes(png_of(2, depth, 0, bytes([row])))
        assert decode(tmp_path / "few.png", None, 1.0, True, "data").flatten().tolist() == [0, 255]


def test_print_colours(tmp_path):
    for ink, colour in (((0, 0, 0, 0), [255, 255, 255]), ((255, 0, 0, 0), [0, 255, 255]), ((0, 0, 0, 255), [0, 0, 0])):
        Image.new("CMYK", (8, 8), ink).save(tmp_path / "print.jpg", quality=100)
        found = decode(tmp_path / "print.jpg", None, 1.0, False, "data")
        assert np.abs(found[:, 4, 4].astype(int) - colour).max() <= 2


def test_the_centre_is_cut_out_of_the_scaled_image():
    ramp = np.tile(np.arange(0, 160, dtype=np.uint8), (80, 1))
    out = np.asarray(centre_crop(Image.fromarray(ramp), 40, 1.0))
    assert out.shape == (40, 40)
    assert abs(float(out.mean()) - 79.5) < 1  # the middle of the wide axis
    np.testing.assert_allclose(np.diff(out[20].astype(float))[2:-2], 2, atol=1)  # half the size
    inner = np.asarray(centre_crop(Image.fromarray(ramp), 40, 0.5))
    np.testing.assert_array_equal(inner, ramp[20:60, 60:100])  # scaled to 80: nothing is interpolated
    whole = Image.fromarray(RGB)
    for size, crop in ((224, 224 / 256), (7, 1.0), (33, 0.7)):
        assert centre_crop(whole, size, crop).size == (size, size)


def huge_png() -> bytes:
    """A valid header of 30000 x 30000 pixels and next to no content."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_what_cannot_be_read(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.tile(RGB, (20, 20, 1))).save(whole, "PNG")
    bad = {
        "text.png": b"hello",
        "empty.jpg": b"",
        "cut.png": whole.getvalue()[: len(whole.getvalue()) // 2],
        "huge.png": huge_png(),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"data: .*{name}' cannot be read") as error:
            decode(tmp_path / name, None, 1.0, False, "data")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="cannot be read"):
        decode(tmp_path / "none.png", None, 1.0, False, "data")
    save(tmp_path / "picture.gif", RGB)  # another format, by content
    with pytest.raises(UserError, match="cannot be read"):
        decode(tmp_path / "picture.gif", None, 1.0, False, "data")
    save(tmp_path / "deep.png", RGB[:, :, 0].astype(np.uint16) * 256)
    with pytest.raises(UserError, match="has pixels of mode 'I;16'; give 8-bit"):
        decode(tmp_path / "deep.png", None, 1.0, False, "data")
