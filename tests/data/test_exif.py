"""Photographs are turned as EXIF says, as viewers do."""

import numpy as np
import pytest
from PIL import Image

from bench.data.folder import Folder
from bench.data.images import decode

ORIENTATION = 274
TURNS = {  # what was done to the upright picture before it was stored, by the value of the tag
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x.transpose(1, 0, 2)[::-1],
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: x.transpose(1, 0, 2)[:, ::-1],
}


def picture():
    """Smooth, so that JPEG changes little, and different at every corner; 24 high, 16 wide."""
    rows, columns = np.mgrid[0:24, 0:16]
    return np.stack([rows * 10, columns * 15, 200 - rows * 3 - columns * 4], axis=-1).astype(np.uint8)


def save(path, pixels, orientation):
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif, **options)


@pytest.mark.parametrize("orientation", TURNS)
def test_all_eight_orientations(tmp_path, orientation):
    upright = picture()
    for suffix, limit in ((".png", 0), (".jpg", 6)):
        save(tmp_path / f"a{suffix}", TURNS[orientation](upright), orientation)
        found = decode(tmp_path / f"a{suffix}", None, 1.0, False, "data").transpose(1, 2, 0)
        assert found.shape == upright.shape
        assert np.abs(found.astype(int) - upright).max() <= limit


@pytest.mark.parametrize("orientation", [None, 0, 9])
def test_no_orientation_or_none_that_exists_changes_nothing(tmp_path, orientation):
    save(tmp_path / "a.png", picture(), orientation)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", None, 1.0, False, "d").transpose(1, 2, 0), picture())


def test_in_a_folder_of_photographs_held_either_way(tmp_path):
    for name, value in (("cats", 6), ("dogs", 1)):
        (tmp_path / name).mkdir()
        for index in range(4):
            save(tmp_path / name / f"{index}.png", TURNS[value](picture()), value)
    found = Folder(path=tmp_path).load(4, 0)
    assert found.input.shape == (3, 24, 16)
    for x in found.evaluation.x:
        np.testing.assert_allclose(x.transpose(1, 2, 0), picture() / 255, atol=1e-6)
