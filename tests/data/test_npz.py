"""Images of the user's own: what is read, and what is refused."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from bench.data.npz import Npz, read_npz
from bench.errors import UserError

X = np.linspace(0, 1, 6 * 4, dtype=np.float32).reshape(6, 1, 2, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def write(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "images.npz", **arrays)
        return tmp_path / "images.npz"

    return save


def test_read(write):
    samples = read_npz(write(x=X, y=Y))
    np.testing.assert_array_equal(samples.x, X)
    np.testing.assert_array_equal(samples.y, Y)
    assert samples.ids[:2] == ("npz/000000", "npz/000001")
    assert read_npz(write(x=X)).y is None
    assert read_npz(write(x=X[:, 0].astype(np.float64))).x.shape == (6, 1, 2, 2)
    grey = read_npz(write(x=(X * 255).astype(np.uint8)), bounds=(0, 255))
    assert grey.x.dtype == np.float32
    assert grey.x.max() == 255


BAD = {
    "no x": ({"images": X}, "holds images; give the arrays x"),
    "more": ({"x": X, "z": X}, "holds x, z"),
    "one axis": ({"x": X[0, 0, 0]}, r"data\.x: shape \(2,\); give images .*, or vectors \(n, features\)"),
    "five axes": ({"x": X[None]}, r"shape \(1, 6, 1, 2, 2\)"),
    "none": ({"x": X[:0]}, r"shape \(0, 1, 2, 2\)"),
    "NaN": ({"x": np.where(X > 0.9, np.nan, X)}, "1 of 6 samples hold NaN"),
    "too large for float32": ({"x": np.where(X > 0.9, 1e300, X.astype(np.float64))}, "1 of 6 samples hold NaN or inf"),
    "bounds": ({"x": X * 255}, r"\[0, 255\], outside the bounds \[0, 1\]"),
    "text": ({"x": np.array(["a", "b"])}, "type <U1; give real numbers"),
    "complex": ({"x": X.astype(complex)}, "type complex128"),
    "objects": ({"x": np.array([X, None], dtype=object)}, "it holds pickled objects"),
    "few labels": ({"x": X, "y": Y[:3]}, r"data\.y: shape \(3,\); give \(6,\)"),
    "soft labels": ({"x": X, "y": Y + 0.5}, "give whole numbers"),
    "negative labels": ({"x": X, "y": Y - 1}, "give whole numbers"),
}


@pytest.mark.parametrize(("arrays", "said"), BAD.values(), ids=BAD)
def test_bad_arrays(write, arrays, said):
    path = write(**arrays)
    with pytest.raises(UserError, match=said) as error:
        read_npz(path)
    assert "\n" not in str(error.value)


def test_bad_files(tmp_path):
    with pytest.raises(UserError, match="no file"):
        read_npz(tmp_path / "none.npz")
    with pytest.raises(UserError, match="no file"):
        read_npz(tmp_path)
    for name, content in {"text.npz": b"hello", "empty.npz": b"", "pickle.npz": b"\x80\x04N."}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"cannot read .*no zip archive"):
            read_npz(tmp_path / name)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(UserError, match="cannot read"):
        read_npz(tmp_path / "one.npy")
    whole = tmp_path / "cut.npz"
    np.savez(whole, x=X)
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(UserError, match="cannot read"):
        read_npz(whole)


def test_loader(write):
    loaded = Npz(path=write(x=X, y=Y), mean=(0.5,), std=(0.25,)).load(3, 1)
    assert (len(loaded.train), len(loaded.calibration), len(loaded.evaluation)) == (2, 1, 3)
    assert loaded.input.classes == ("0", "1", "2")
    assert (loaded.input.mean, loaded.input.std) == ((0.5,), (0.25,))
    assert loaded.fingerprint == Npz(path=write(x=X, y=Y), mean=(0.5,), std=(0.25,)).load(3, 1).fingerprint
    unlabelled = Npz(path=write(x=X), classes=("cat", "dog")).load(2, 0)
    assert unlabelled.evaluation.y is None


def test_loader_errors(write):
    with pytest.raises(UserError, match="no labels y; name the classes"):
        Npz(path=write(x=X)).load(2, 0)
    with pytest.raises(UserError, match="no evaluation sample of 1 of 4 classes: 'd'"):
        Npz(path=write(x=X, y=Y), classes=("a", "b", "c", "d")).load(3, 0)
    with pytest.raises(UserError, match=r"labels lie in 0\.\.2"):
        Npz(path=write(x=X, y=Y), classes=("a", "b")).load(3, 0)
    with pytest.raises(UserError, match="7 \\+ 0 samples asked, 'npz' has 6"):
        Npz(path=write(x=X, y=Y)).load(7, 0)
    with pytest.raises(UserError, match="2 values for 1 channels"):
        Npz(path=write(x=X, y=Y), mean=(0.1, 0.2)).load(3, 0)
    with pytest.raises(UserError, match="give positive values"):
        Npz(path=write(x=X, y=Y), std=(0.0,)).load(3, 0)
    with pytest.raises(UserError, match="give low < high"):
        Npz(path=write(x=X, y=Y), bounds=(1.0, 0.0)).load(3, 0)


def test_damaged_deflated_data_is_a_line_and_no_traceback(tmp_path):
    path = tmp_path / "images.npz"
    rng = np.random.default_rng(0)
    np.savez_compressed(path, x=rng.integers(0, 7, (200, 1, 4, 4)) / 7)
    content = path.read_bytes()
    reasons = set()
    for place in range(80, 500, 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with pytest.raises(UserError, match="cannot read") as caught:
            read_npz(path)
        reasons.add(type(caught.value.__context__).__name__)
    assert "error" in reasons  # zlib's own, which is no ValueError


def test_a_member_that_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.npz", "w") as packed:
        packed.writestr("x", b"raw bytes")
    with pytest.raises(UserError, match="other than arrays"):
        read_npz(tmp_path / "images.npz")


HUGE = {
    "unpacked": ({"x": np.zeros((300, 1, 600, 600), np.uint8)}, "108000.* bytes, more than 100000000"),
    "as float32": ({"x": np.zeros((200, 1, 600, 600), np.uint8)}, "x takes 288000000 bytes, more than 100000000"),
}


@pytest.mark.parametrize(("arrays", "said"), HUGE.values(), ids=HUGE)
def test_what_grows_too_large_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, arrays, said):
    monkeypatch.setenv("CRBENCH_MAX_UNPACKED_BYTES", "100000000")
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, **arrays)
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(UserError, match=said) as error:
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert "CRBENCH_MAX_UNPACKED_BYTES raises it" in str(error.value)
    monkeypatch.setenv("CRBENCH_MAX_UNPACKED_BYTES", "1000000000")
    assert len(read_npz(path)) == len(arrays["x"])


def test_what_is_not_packed_has_no_limit(write, monkeypatch):
    monkeypatch.setenv("CRBENCH_MAX_UNPACKED_BYTES", "10")
    assert len(read_npz(write(x=X, y=Y))) == 6


def test_a_limit_that_is_no_number_is_one_line(write, monkeypatch):
    monkeypatch.setenv("CRBENCH_MAX_UNPACKED_BYTES", "much")
    with pytest.raises(UserError, match="CRBENCH_MAX_UNPACKED_BYTES: 'much' is no whole number"):
        read_npz(write(x=X, y=Y))


LABELS = {
    "1e300": (np.array([1e300] * 6), "more than 100000"),
    "infinite": (np.array([np.inf] * 6), "no classes"),
    "NaN": (np.array([np.nan] * 6), "no classes"),
    "beyond int64": (np.array([2**64 - 1] * 6, np.uint64), "labels of 1.84e\\+19 classes, more than 100000"),
    "a million million": (np.array([10**12] * 6), "more than 100000; CRBENCH_MAX_CLASSES raises it"),
    "negative float": (np.array([-1e300] * 6), "no classes"),
}


@pytest.mark.parametrize(("y", "said"), LABELS.values(), ids=LABELS)
def test_labels_that_no_network_has(write, y, said):
    with pytest.raises(UserError, match=said) as error:
        read_npz(write(x=X, y=y))
    assert "\n" not in str(error.value)


def test_an_array_that_is_there_twice(tmp_path):
    path = tmp_path / "twice.npz"
    np.savez(path, x=X, y=Y)
    buffer = io.BytesIO()
    np.save(buffer, X / 2)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(UserError, match="it holds 'x' twice"):
        read_npz(path)


def test_a_header_that_declares_more_than_there_is(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, X)
    content = buffer.getvalue().replace(b"(6, 1, 2, 2)", b"(9**9,1,2,2)").replace(b"9**9,1,2,2", b"9999, 1,2,2")
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(UserError, match=r"cannot read .*lies.npz"):
        read_npz(tmp_path / "lies.npz")


def test_a_directory_that_lost_its_labels(tmp_path):
    """One changed byte, the length of a comment, hides the next member: x without its y is another run."""
    path = tmp_path / "lost.npz"
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\x01\x02")
    following = content.find(b"PK\x01\x02", entry + 1)
    end = content.find(b"PK\x05\x06")
    content[entry + 32 : entry + 34] = (end - following).to_bytes(2, "little")
    path.write_bytes(content)
    with np.load(path) as archive:
        assert archive.files == ["x"]  # numpy itself says nothing
    with pytest.raises(UserError, match="its directory lacks members that it counts"):
        read_npz(path)
