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
