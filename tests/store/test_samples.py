import io
import json

import numpy as np
import pytest

from bench.errors import UserError
from bench.store.samples import CellSamples, RunSamples, ValueSamples, place_of, read_samples, to_bytes, write_samples


def samples():
    shared = np.arange(3.0)
    value = ValueSamples("mean", {"x": np.ones(3)}, {"x": shared}, better="higher", log=True)
    other = ValueSamples("distance", {"x": np.zeros(3)}, {"x": shared}, power=2)
    return RunSamples(
        {"a/b\n": CellSamples("k", "n", {"version": 1}, "m", {"first": value, "second": other})},
        np.array([0, 1, 1]), ("a", "b"),
    )  # fmt: skip


def test_they_come_back_as_they_were(tmp_path):
    write_samples(samples(), tmp_path)
    found = read_samples(tmp_path / "arrays.npz")
    assert (found.labels.tolist(), found.classes) == ([0, 1, 1], ("a", "b"))
    (cell,) = found.cells.values()
    assert (list(found.cells), cell.key, cell.identity) == (["a/b\n"], "k", {"version": 1})
    value = cell.values["first"]
    assert (value.form, value.better, value.power, value.log) == ("mean", "higher", 1, True)
    assert (value.variant["x"].tolist(), value.reference["x"].tolist()) == ([1, 1, 1], [0, 1, 2])
    assert cell.values["second"].power == 2


def test_shared_arrays_are_stored_once_and_nothing_is_pickled():
    with np.load(io.BytesIO(to_bytes(samples())), allow_pickle=False) as found:
        assert len(found.files) == 5  # two of the variant, one shared, the labels, the index
        assert all(found[name].dtype.kind in "fiu" for name in found.files)


def test_places_of_odd_names_stay_apart():
    assert place_of("a/b", "c", "m", {}, 0) != place_of("a", "b/c", "m", {}, 0)
    assert place_of("a", "b", "m", {"x": 1, "y": 2}, 0) == place_of("a", "b", "m", {"y": 2, "x": 1}, 0)


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
