import contextlib
import io
import json
import zipfile

import numpy as np
import pytest

from bench.errors import UserError
from bench.store.arrays import read_arrays
from bench.store.samples import CellSamples, RunSamples, ValueSamples, read_samples, to_bytes, write_samples

IDENTITY = {"data": "d", "reference": "r", "yardsticks": "y", "metric": "m", "version": 1, "parameters": {}, "n": 3}


def samples():
    shared = np.arange(3.0)
    value = ValueSamples("mean", {"x": np.ones(3)}, {"x": shared}, better="higher", log=True)
    other = ValueSamples("distance", {"x": np.zeros(3)}, {"x": shared}, power=2)
    return RunSamples(
        {"a/b\n": CellSamples("k", "n", IDENTITY, "m", {"first": value, "second": other})},
        np.array([0, 1, 1]), ("a", "b"),
    )  # fmt: skip


def test_they_come_back_as_they_were(tmp_path):
    write_samples(samples(), tmp_path)
    found = read_samples(tmp_path / "arrays.npz")
    assert (found.labels.tolist(), found.classes) == ([0, 1, 1], ("a", "b"))
    (cell,) = found.cells.values()
    assert (list(found.cells), cell.key, cell.identity) == (["a/b\n"], "k", IDENTITY)
    value = cell.values["first"]
    assert (value.form, value.better, value.power, value.log) == ("mean", "higher", 1, True)
    assert (value.variant["x"].tolist(), value.reference["x"].tolist()) == ([1, 1, 1], [0, 1, 2])
    assert cell.values["second"].power == 2


def test_shared_arrays_are_stored_once_and_nothing_is_pickled():
    with np.load(io.BytesIO(to_bytes(samples())), allow_pickle=False) as found:
        assert len(found.files) == 5  # two of the variant, one shared, the labels, the index
        assert all(found[name].dtype.kind in "fiu" for name in found.files)


@pytest.mark.parametrize("damage", ["cut", "version", "absent", "form", "pickle"])
def test_damaged_files_are_refused(tmp_path, damage):
    file = write_samples(samples(), tmp_path)
    content = file.read_bytes()
    with np.load(io.BytesIO(content)) as found:
        arrays = {name: found[name] for name in found.files}
    index = json.loads(bytes(arrays["index"]))
    if damage == "cut":
        file.write_bytes(content[:-30])
    elif damage == "absent":
        file.unlink()
    elif damage == "pickle":
        np.savez(file, index=np.array([{"a": 1}], dtype=object))
    else:
        if damage == "version":
            index["version"] = 99
        else:
            index["cells"]["a/b\n"]["values"]["first"]["form"] = "code"
        arrays["index"] = np.frombuffer(json.dumps(index).encode(), dtype=np.uint8)
        np.savez(file, **arrays)
    with pytest.raises(UserError):
        read_samples(file)


def written(tmp_path, arrays=None, index=None):
    """An ``arrays.npz`` of which some arrays, or a piece of the index, are others."""
    with np.load(io.BytesIO(to_bytes(samples()))) as found:
        kept = {name: found[name] for name in found.files}
    content = json.loads(bytes(kept["index"]))
    if index:
        *path, last = index[0]
        table = content
        for key in path:
            table = table[key]
        table[last] = index[1]
    kept["index"] = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
    np.savez(tmp_path / "arrays.npz", **kept | (arrays or {}))
    return tmp_path / "arrays.npz"


CELL = ("cells", "a/b\n")
FIRST = (*CELL, "values", "first")


@pytest.mark.parametrize(
    ("place", "given"),
    [
        (("cells",), []), (("cells",), None), (("labels",), 3), (("labels",), "index"), (("classes",), "ab"),
        ((*CELL, "identity"), {}), ((*CELL, "identity", "n"), "3"), ((*CELL, "identity", "n"), 4),
        ((*CELL, "network"), None), ((*CELL, "values"), [1]), ((*FIRST, "variant"), None),
        ((*FIRST, "variant"), {"y": "a0"}), ((*FIRST, "variant", "x"), "nowhere"), ((*FIRST, "better"), "faster"),
        ((*FIRST, "power"), 3), ((*FIRST, "log"), "no"), ((*FIRST, "form"), "timing"), (("more",), 1),
    ],
)  # fmt: skip
def test_an_index_of_other_types_is_refused(tmp_path, place, given):
    read_samples(written(tmp_path))
    with pytest.raises(UserError, match="damaged"):
        read_samples(written(tmp_path, index=(place, given)))


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b", "c"]), np.array([1, np.nan, 1]), np.array([1, np.inf, 1]), np.ones((3, 2)), np.ones(4),
        np.array(1.0), np.ones(3) * 1j, np.zeros(3, "M8[s]"), np.array([0.5, 2, 1]),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_their_form_are_refused(tmp_path, array):
    form = ((*FIRST, "form"), "proportion")
    ones = {"a0": np.array([0, 1, 1]), "a1": np.array([1, 0, 1])}
    found = read_samples(written(tmp_path, ones, form))
    assert sum(value.form == "proportion" for cell in found.cells.values() for value in cell.values.values()) == 1
    with pytest.raises(UserError, match="damaged"):
        read_samples(written(tmp_path, ones | {"a0": array}, form))


def test_a_single_flipped_byte_never_ends_in_another_error(tmp_path):
    content = to_bytes(samples())
    file = tmp_path / "arrays.npz"
    for place in range(0, len(content), 3):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(UserError):
            read_samples(file)


@pytest.mark.parametrize("shape", [(10**13,), (10**30,), (-5,)])
def test_headers_that_promise_too_much_are_refused(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as packed:
        packed.writestr("index.npy", header.getvalue())
    with pytest.raises(UserError, match="damaged"):
        read_samples(tmp_path / "arrays.npz")


def test_what_unpacks_to_more_than_the_limit_is_refused_unread():
    packed = io.BytesIO()
    np.savez_compressed(packed, x=np.zeros(100_000))
    assert len(packed.getvalue()) < 2_000
    assert read_arrays(packed.getvalue(), 10**6)["x"].size == 100_000
    with pytest.raises(ValueError, match="unpacks to"):
        read_arrays(packed.getvalue(), 10**5)
