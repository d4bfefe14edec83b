import re
import struct

import numpy as np
import pytest

from bench.data.idx import read_idx
from bench.errors import UserError

IMAGES = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_images_and_labels():
    np.testing.assert_array_equal(read_idx(idx(IMAGES), 3, "images"), IMAGES)
    np.testing.assert_array_equal(read_idx(idx(IMAGES[0, 0]), 1, "labels"), [0, 1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it begins with nothing, an idx file of 3 axes with 00000803"),
        (idx(IMAGES[0, 0]), "it begins with 00000801, an idx file of 3 axes with 00000803"),
        (b"\0\0\x0d\x03" + idx(IMAGES)[4:], "it begins with 00000d03"),  # floats
        (idx(IMAGES)[:10], "it ends after 10 bytes"),
        (idx(IMAGES)[:-1], "it holds 11 values, its header says 2 x 3 x 2"),
        (idx(IMAGES) + b"\0", "it holds 13 values"),
    ],
)
def test_other_files_are_refused(content, said):
    with pytest.raises(UserError, match=f"^images: {re.escape(said)}"):
        read_idx(content, 3, "images")
