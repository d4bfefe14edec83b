"""Fashion-MNIST: the official split, wherever the files come from."""

import gzip
import hashlib

import numpy as np
import pytest

from bench.cli import run_cli
from bench.data import fashion_mnist
from bench.data.base import loaders
from bench.data.fashion_mnist import DEBIAN, FashionMnist
from bench.data.published import Published
from bench.errors import UserError
from tests.data.test_idx import idx
from tests.data.test_published import server  # noqa: F401

installed = pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The four files with 60 training and 30 test images; pixels say which file and row they are of."""
    files, blobs = {}, {}
    for kind, count, names in (("train", 60, fashion_mnist.TRAIN), ("test", 30, fashion_mnist.TEST)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.arange(count), 255 if kind == "test" else 100
        labels = (np.arange(count) % 10).astype(np.uint8)
        made = []
        for file, array in zip(names, (images, labels), strict=True):
            content = idx(array)
            made.append(Published(file.name, hashlib.sha256(content).hexdigest(), len(content)))
            blobs[file.name] = gzip.compress(content)
        files[kind] = tuple(made)
    monkeypatch.setattr(fashion_mnist, "TRAIN", files["train"])
    monkeypatch.setattr(fashion_mnist, "TEST", files["test"])
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("CRBENCH_DATA", str(tmp_path / "data"))
    return blobs


def put(folder, blobs):
    folder.mkdir(parents=True)
    for name, blob in blobs.items():
        (folder / name).write_bytes(blob)


def test_training_never_touches_the_test_file(small, tmp_path):
    put(tmp_path / "debian", small)
    data = FashionMnist().load(20, 20)
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [40, 20, 20]
    assert {float(v) for v in data.evaluation.x[:, 0, 0, 1]} == {1.0}
    for part in (data.train, data.calibration):
        assert {float(v) for v in part.x[:, 0, 0, 1]} == {np.float32(100) / np.float32(255)}
        assert all(sample.startswith("fashion-mnist/train/") for sample in part.ids)
    for part in (data.train, data.calibration, data.evaluation):
        rows = np.array([int(sample.rpartition("/")[2]) for sample in part.ids])
        np.testing.assert_array_equal(np.rint(part.x[:, 0, 0, 0] * 255), rows)
        np.testing.assert_array_equal(part.y, rows % 10)
        assert part.x.shape[1:] == (1, 28, 28)
        np.testing.assert_array_equal(np.bincount(part.y), len(part) // 10)  # stratified
    assert FashionMnist().load(10, 30).evaluation.ids == data.evaluation.ids[:10]
    assert FashionMnist(training=10).load(20, 20).train.ids == data.train.ids[:10]
    assert FashionMnist(seed=1).load(20, 20).evaluation.ids != data.evaluation.ids


def test_the_files_are_downloaded_once(small, server, tmp_path, capsys):  # noqa: F811
    folder, base = server
    for name, blob in small.items():
        (folder / name).write_bytes(blob)
    first = FashionMnist(url=base).load(20, 20)
    kept = tmp_path / "data" / "fashion-mnist"
    assert sorted(path.name for path in kept.iterdir()) == sorted(small)
    assert capsys.readouterr().err.count(f"in {kept}\n") == 4
    for name in small:
        (folder / name).unlink()
    assert FashionMnist(url=base).load(20, 20).fingerprint == first.fingerprint


def test_a_damaged_file_is_named(small, tmp_path):
    name = fashion_mnist.TEST[0].name
    put(tmp_path / "data" / "fashion-mnist", {**small, name: gzip.compress(b"something else")})
    with pytest.raises(UserError, match=rf"fashion-mnist/{name}: its content has sha256 .*published file"):
        FashionMnist().load(20, 20)


def test_too_many(small, tmp_path):
    put(tmp_path / "debian", small)
    with pytest.raises(UserError, match=r"31 \+ 0 samples asked, 'fashion-mnist \(test file\)' has 30"):
        FashionMnist().load(31, 0)
    with pytest.raises(UserError, match=r"data\.calibration: 61 samples asked, the training file has 60"):
        FashionMnist().load(20, 61)


def test_no_files_and_no_server(small):
    with pytest.raises(UserError, match="cannot be downloaded"):
        FashionMnist(url="https://127.0.0.1:9").load(20, 20)
    assert loaders.get("fashion-mnist") is FashionMnist


@installed
def test_the_real_files():
    """Results of old runs are compared by sample id: a changed split must be a decision."""
    data = FashionMnist(training=2000).load(2000, 256)
    assert data.evaluation.ids[:2] == ("fashion-mnist/test/09323", "fashion-mnist/test/02135")
    assert data.evaluation.fingerprint == "b9f4357d69d1103f8fbbc593639c3adbada1d2712fa018cd07cbc3fa1ae511b9"
    np.testing.assert_array_equal(np.bincount(data.train.y), [200] * 10)
    assert data.train.x.mean() == pytest.approx(0.2860, abs=0.01)
    assert data.train.x.std() == pytest.approx(0.3530, abs=0.01)
    assert data.input.classes[9] == "Ankle boot"


SUITE = """
[data]
loader = "fashion-mnist"
url = "{url}"
evaluation = 20
calibration = 20

[reference]
model = "mlp"

[[variant]]
name = "noise"
steps = [{{ use = "weight-noise", sigma = 0.1 }}]

[[metric]]
use = "fidelity.accuracy"
"""


def test_a_command_downloads_into_the_store_that_it_was_given(small, server, tmp_path, monkeypatch):  # noqa: F811
    folder, base = server
    for name, blob in small.items():
        (folder / name).write_bytes(blob)
    monkeypatch.delenv("CRBENCH_DATA")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SUITE.format(url=base))
    assert run_cli(["check", "s.toml", "--store", "mine"]) == 0
    assert sorted(path.name for path in (tmp_path / "mine" / "data" / "fashion-mnist").iterdir()) == sorted(small)
    assert not (tmp_path / ".crbench").exists()
