"""Damaged ``.npz`` data: the very samples, or an error in words.

Every member of an archive has a checksum of its own, so a changed byte never gives other samples. An archive that is
written anew with other arrays is another data set: it has another fingerprint.
"""

import io
import warnings
import zipfile

import numpy as np
import pytest

from bench.data.npz import read_npz
from bench.data.splitting import stratified_order
from tests.fuzz.damage import CASES, PARTS, answer, generator, one_byte, seeds, torn

RNG = np.random.default_rng(5)
X = RNG.random((12, 1, 4, 4)).astype(np.float32)
Y = np.arange(12) % 3


def written(packed, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


WHOLE = [written(packed, x=X, y=Y) for packed in (False, True)]
STRANGE = (np.nan, np.inf, 1e300, -1e300, -1, 2**63 - 1, 2**40, 0.5, 1e-320)
TYPES = ("<f4", ">f4", "<f8", "<f2", "|b1", "|u1", "<u8", "<i8", "<c8", "|S3", "<U2", "<M8[s]", "|V4", "<f16")
SHAPE = b"(12, 1, 4, 4)"
HEADERS = (
    (
        SHAPE,
        (b"(192,)       ", b"(12, 4, 4)   ", b"(6, 2, 4, 4) ", b"(-1, 1, 4, 4)", b"(2**60,1,4,4)", b"(99,1,999,9) "),
    ),
    (b"'<f4'", (b"'>f4'", b"'<i4'", b"'<u4'", b"'|O4'", b"'<f8'", b"'|S4'", b"'<U1'")),
    (b"False", (b"True ",)),
    (b"'shape'", (b"'shap3'", b"'descr'")),
)


def rewritten(rng):
    """A whole archive of other arrays: values, types, shapes, headers, names."""
    x, y = X.copy(), Y.astype(rng.choice(("<f8", "<i8")))
    kind = rng.randrange(6)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == 0:
            y = y.astype("<f8") if rng.random() < 0.7 else y
            y[rng.randrange(12)] = rng.choice(STRANGE if y.dtype.kind == "f" else (-1, 2**40, 2**62))
        elif kind == 1:
            x[rng.randrange(12)] = rng.choice(STRANGE)
        elif kind == 2:
            x = x.astype(rng.choice(TYPES))
        elif kind == 3:
            x = x.reshape(rng.choice(((12, 16), (12, 4, 4), (192,), (12, 1, 16, 1), (12, 2, 2, 2, 2), (6, 2, 4, 4))))
        elif kind == 4:
            y = rng.choice((y[:5], y[:, None], y[:0], y.astype("|S3"), y.astype(complex), np.array(1)))
    content = written(rng.random() < 0.5, x=x, y=y)
    if kind == 5:
        buffer = io.BytesIO()
        np.save(buffer, x)
        old, new = rng.choice(HEADERS)
        member = buffer.getvalue().replace(old, rng.choice(new), 1)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(rng.choice(("x.npy", "x", "z.npy", "../x.npy", "x.npy\xe9")), member)
        content = packed.getvalue()
    return content


def samples_of(path, content):
    path.write_bytes(content)
    samples = read_npz(path)
    stratified_order(samples.y, len(samples), "npz", 0)
    return samples


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_npz_says_so_or_says_the_same(tmp_path, monkeypatch, part):
    monkeypatch.setenv("CRBENCH_MAX_UNPACKED_BYTES", "10000000")
    path = tmp_path / "data.npz"
    whole = samples_of(path, WHOLE[0])
    for seed in seeds(part):
        rng = generator(seed)
        anew = False
        if seed % 2 == 0:
            content = one_byte(rng.choice(WHOLE), rng)
        elif anew := rng.random() < 0.5:
            content = rewritten(rng)
        else:
            content = torn(rng.choice(WHOLE), rng)
        found, error = answer(seed, lambda content=content: samples_of(path, content))
        if error is not None:
            continue
        same = np.array_equal(found.x, whole.x) and found.y is not None and np.array_equal(found.y, whole.y)
        assert same or anew, f"seed {seed}: other samples, without a word"
        assert same == (found.fingerprint == whole.fingerprint), f"seed {seed}: other samples of the same name"
        assert np.isfinite(found.x).all(), f"seed {seed}"
        assert found.y is None or 0 <= found.y.min() <= found.y.max() < 100_000, f"seed {seed}"


def test_half_of_the_cases_change_one_byte():
    assert sum(seed % 2 == 0 for part in range(PARTS) for seed in seeds(part)) * 2 == CASES >= 300
