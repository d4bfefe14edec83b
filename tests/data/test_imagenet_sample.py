"""foolbox's photographs: all of them, each in one split."""

import subprocess
import sys

import numpy as np
import pytest

from bench.data.imagenet_sample import ImagenetSample
from bench.errors import MissingExtra, UserError


@pytest.fixture(scope="module")
def data():
    return ImagenetSample(size=32).load(16, 4)


def test_images(data):
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [0, 4, 16]
    assert len({*data.calibration.ids, *data.evaluation.ids}) == 20
    assert data.input.shape == (3, 32, 32)
    assert len(data.input.classes) == 1000
    for part in (data.calibration, data.evaluation):
        assert [int(sample.rpartition("_")[2]) for sample in part.ids] == part.y.tolist()
        assert part.x.dtype == np.float32
    assert 0 <= data.evaluation.x.min() < 0.05
    assert 0.95 < data.evaluation.x.max() <= 1
    assert data.evaluation.x.std() > 0.2
    assert ImagenetSample(size=32).load(20, 0).evaluation.ids[:16] == data.evaluation.ids


def test_bytes(data):
    raw = ImagenetSample(size=32, bounds=(0, 255)).load(16, 4)
    assert raw.input.bounds == (0, 255)
    np.testing.assert_array_equal(raw.evaluation.x / np.float32(255), data.evaluation.x)
    np.testing.assert_array_equal(raw.evaluation.x, np.rint(raw.evaluation.x))


def test_errors(monkeypatch):
    with pytest.raises(UserError, match=r"16 \+ 128 samples asked, .*evaluation = 16, calibration = 4"):
        ImagenetSample(size=32).load(16, 128)
    with pytest.raises(UserError, match=r"data\.bounds: \[-1\.0, 1\.0\] is no range of pixels"):
        ImagenetSample(size=32, bounds=(-1, 1)).load(16, 4)
    monkeypatch.setattr("bench.data.imagenet_sample.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="imagenet-sample"):
        ImagenetSample(size=32).load(16, 4)


def test_foolbox_is_not_imported():
    code = (
        "import sys; from bench.data.imagenet_sample import ImagenetSample\n"
        "ImagenetSample(size=16).load(2, 0)\nprint({'foolbox', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
