"""Arrays beside a record: mapped, checked when they are first read, and absent where one byte is another."""

import gc
import json
import os
import threading
from pathlib import Path

import fsspec
import numpy as np
import pytest

from bench.store import spill
from bench.store.checksums import sealed
from bench.store.npy import BLOCK, ArrayEntry, NpyContent
from bench.store.passing import passing_store
from bench.store.rows import LARGE, Rows
from bench.store.spill import SMALL, Spill, is_mapped, release
from bench.store.store import Store
from bench.store.stored import DamagedArrays

PARTS = {"probe": "p"}
LONG = np.arange(3 * BLOCK // 8, dtype=np.float64).reshape(-1, 4)  # a little more than three blocks with its header
ARRAYS = {"long": LONG, "short": np.arange(5, dtype=np.int32), "one": np.array(2.5), "none": np.zeros((0, 3), np.uint8)}


@pytest.fixture(params=["local", "background", "memory", "remote"])
def store(request, tmp_path):
    if request.param == "memory":
        with passing_store() as url:
            yield Store(url)
        return
    found = Store(str(tmp_path), background=request.param == "background")
    if request.param == "remote":  # read and written by fsspec alone, as what lies on a network is
        found.files.local = False
    yield found


@pytest.fixture
def local(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("observations", PARTS, {}, arrays=ARRAYS)
    return store, key, tmp_path / "observations" / key[:2]


def said(store):
    lines = []
    store.tell(lines.append)
    return lines


def test_every_array_comes_back_as_it_was_read_only_and_large_ones_are_mapped(store):
    key = store.put("observations", PARTS, {}, arrays=ARRAYS)
    found = store.arrays("observations", key)
    assert sorted(found) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert not found[name].flags.writeable
        assert is_mapped(found[name]) == (name == "long")
    assert store.holds("observations", key)
    assert said(store) == []


def test_a_file_is_what_numpy_maps(local):
    _, key, folder = local
    loaded = np.load(folder / f"{key}.long.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(loaded, LONG)
    record = json.loads((folder / f"{key}.json").read_text())
    assert record["arrays"]["long"] == ArrayEntry.read(record["arrays"]["long"]).canonical()
    assert len(record["arrays"]["long"]["sha256"]) == 4
    assert record["arrays"]["one"]["shape"] == []


@pytest.mark.parametrize("place", [0, 9, 200, BLOCK - 1, BLOCK, 2 * BLOCK + 77, -1])
@pytest.mark.parametrize("name", ["long", "short", "one", "none"])
def test_a_flipped_byte_is_found_when_its_array_is_first_read_and_no_other_is_lost(local, name, place):
    store, key, folder = local
    content = bytearray((folder / f"{key}.{name}.npy").read_bytes())
    place = place if place < len(content) else len(content) // 2
    content[place] ^= 4
    (folder / f"{key}.{name}.npy").write_bytes(content)
    found = store.arrays("observations", key)
    for other in ARRAYS.keys() - {name}:
        assert found[other].tobytes() == ARRAYS[other].tobytes()
    assert said(store) == []
    with pytest.raises(DamagedArrays, match="its checksum does not fit") as damaged:
        found[name]
    assert damaged.value.key == key
    assert not store.holds("observations", key)
    (line,) = said(store)
    assert f"{key}.{name}.npy: its checksum does not fit" in line


@pytest.mark.parametrize("name", ["long", "short"])
@pytest.mark.parametrize("how", ["truncated", "longer", "lost", "folder", "pipe", "another's"])
def test_a_file_that_is_none_of_its_record_makes_the_arrays_absent(local, name, how):
    store, key, folder = local
    path = folder / f"{key}.{name}.npy"
    content = path.read_bytes()
    path.unlink()
    if how == "truncated":
        path.write_bytes(content[:-3])
    elif how == "longer":
        path.write_bytes(content + b"\0")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "another's":
        other = store.put("observations", {"probe": "q"}, {}, arrays={name: ARRAYS[name] + 1})
        path.write_bytes((folder.parent / other[:2] / f"{other}.{name}.npy").read_bytes())
    assert (store.arrays("observations", key) is None) == (how != "another's")
    assert not store.holds("observations", key)
    why = {"lost": "lost", "folder": "it is no file", "pipe": "it is no file", "another's": "its checksum does not fit"}
    (line,) = said(store)
    assert f"{path.name}: {why.get(how, 'its size does not fit')}" in line
    if how not in ("folder", "pipe"):
        store.put("observations", PARTS, {}, arrays=ARRAYS)
        assert store.holds("observations", key)
        assert said(store) == []


@pytest.mark.parametrize("name", ["long", "short"])
@pytest.mark.parametrize("shape", [[-1, 4], [5, 4], [2**40, 2**40], [True, 4], "5", None, [10**30]])
def test_a_record_that_lies_about_a_shape_with_a_fitting_checksum_is_damage(local, name, shape):
    store, key, folder = local
    path = folder / f"{key}.json"
    record = json.loads(path.read_text())
    record["arrays"][name]["shape"] = shape
    path.write_text(json.dumps(sealed(record)))
    assert not store.holds("observations", key)
    assert len(said(store)) == 1


def test_a_header_that_lies_with_fitting_checksums_is_damage(local):
    store, key, folder = local
    for name, header in (("long", (2**40, 4)), ("short", (4,))):
        content = (folder / f"{key}.{name}.npy").read_bytes()
        start = len(content) - ARRAYS[name].nbytes
        lying = np.lib.format
        file = folder / f"{key}.{name}.npy"
        with file.open("wb") as out:
            described = {"descr": ARRAYS[name].dtype.str, "fortran_order": False, "shape": header}
            lying.write_array_header_1_0(out, described)
            assert out.tell() == start
            out.write(content[start:])
        entry = record_of(file, ARRAYS[name])
        path = folder / f"{key}.json"
        record = json.loads(path.read_text())
        record["arrays"][name] = entry
        path.write_text(json.dumps(sealed(record)))
        with pytest.raises(DamagedArrays, match="its header says something else than its record"):
            store.arrays("observations", key)[name]


def record_of(file, array):
    """What a record says of a file whose header lies."""
    import hashlib

    content = file.read_bytes()
    blocks = [content[start : start + BLOCK] for start in range(0, len(content), BLOCK)]
    sums = [hashlib.sha256(block).hexdigest() for block in blocks]
    return {"shape": list(array.shape), "dtype": array.dtype.str, "size": len(content), "sha256": sums}


@pytest.mark.parametrize("dtype", ["|O", "O8", "<f7", "<m8", "", 3, "<f8,<f8"])
def test_a_record_of_a_type_that_holds_no_numbers_is_damage(local, dtype):
    store, key, folder = local
    path = folder / f"{key}.json"
    record = json.loads(path.read_text())
    record["arrays"]["short"]["dtype"] = dtype
    path.write_text(json.dumps(sealed(record)))
    assert not store.holds("observations", key)
    assert len(said(store)) == 1


def test_arrays_in_the_older_form_count_as_absent_and_that_is_said(local):
    store, key, folder = local
    path = folder / f"{key}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(sealed({**record, "arrays": "0" * 64})))
    assert store.get("observations", key) is not None
    assert store.arrays("observations", key) is None
    (line,) = said(store)
    assert "1 record was written with arrays in an older form, and counted as absent" in line


@pytest.mark.parametrize("name", ["../x", "a.b", "", "a/b", "x" * 65, "0x", "é"])
def test_a_name_that_no_file_can_have_is_refused_before_anything_is_written(tmp_path, name):
    store = Store(str(tmp_path))
    with pytest.raises(ValueError, match="an array may not be called"):
        store.put("observations", PARTS, {}, arrays={name: np.ones(2)})
    assert list(store.records("observations")) == []


def test_names_that_differ_in_case_alone_and_objects_are_refused(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(ValueError, match="differ in case alone"):
        store.put("observations", PARTS, {}, arrays={"x": np.ones(2), "X": np.ones(2)})
    with pytest.raises(ValueError, match="cannot be stored"):
        store.put("observations", PARTS, {}, arrays={"x": np.array([{}], dtype=object)})


@pytest.mark.parametrize("make", [np.asfortranarray, lambda array: array[::2], lambda array: array.T])
def test_arrays_that_lie_otherwise_in_memory_come_back_equal(store, make):
    given = make(LONG)
    key = store.put("observations", PARTS, {}, arrays={"x": given})
    np.testing.assert_array_equal(store.arrays("observations", key)["x"], given)


def test_a_small_array_that_changes_after_it_was_put_is_stored_as_it_was(tmp_path):
    store = Store(str(tmp_path), background=True)
    array, held = np.zeros(4), threading.Event()
    store._writer._thread.submit(held.wait)
    key = store.put("observations", PARTS, {}, arrays={"x": array})
    array += 1
    held.set()
    assert store.arrays("observations", key)["x"].tolist() == [0, 0, 0, 0]


def test_a_file_that_is_replaced_is_checked_again(local):
    store, key, folder = local
    found = store.arrays("observations", key)
    assert found["long"][-1, -1] == LONG[-1, -1]
    gc.collect()
    content = bytearray((folder / f"{key}.long.npy").read_bytes())
    content[-1] ^= 1
    (folder / "new").write_bytes(content)
    (folder / "new").replace(folder / f"{key}.long.npy")
    with pytest.raises(DamagedArrays, match="its checksum does not fit"):
        found["long"]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nothing lists open files here")
def test_many_mapped_arrays_keep_no_file_open(tmp_path):
    store = Store(str(tmp_path))
    before, kept = open_files(), []
    for number in range(30):
        key = store.put("observations", {"n": number}, {}, arrays={"x": np.full(SMALL // 8 + 1, float(number))})
        found = store.arrays("observations", key)
        assert float(found["x"][-1]) == number
        kept.append(found)
    assert open_files() <= before + 2
    assert [float(found["x"][0]) for found in kept] == list(range(30))


def test_what_a_store_in_memory_keeps_on_disk_is_shared_listed_collected_and_freed():
    with passing_store() as url:
        key = Store(url).put("observations", PARTS, {}, arrays=ARRAYS)
        again = Store(url)
        mapped = again.arrays("observations", key)["long"]
        assert is_mapped(mapped)
        name = f"observations/{key[:2]}/{key}.long.npy"
        assert name in again.files.names("observations")
        assert not [path for path in fsspec.filesystem("memory").store if path.endswith(".long.npy")]
        assert again.files.size(name) == len(again.files.read(name)) > LONG.nbytes
        assert again.collect(younger_than=1e12)[0] == 5
        assert again.arrays("observations", key) is None
        np.testing.assert_array_equal(mapped, LONG)  # whoever reads it still can
        key = again.put("observations", PARTS, {}, arrays=ARRAYS)
        root = url.removeprefix("memory:/")
        file = spill._IN_MEMORY[root]._file
    assert root not in spill._IN_MEMORY
    del again
    gc.collect()
    assert file.closed


def test_damage_in_a_store_in_memory_is_found_too(store):
    key = store.put("observations", PARTS, {}, arrays=ARRAYS)
    store.flush()
    name = f"observations/{key[:2]}/{key}.long.npy"
    content = bytearray(store.files.read(name))
    content[BLOCK + 3] ^= 1
    store.files.write(name, bytes(content))
    with pytest.raises(DamagedArrays):
        store.arrays("observations", key)["long"]


def test_what_cannot_be_written_is_mapped_all_the_same(tmp_path, monkeypatch):
    Store(str(tmp_path)).put("cells", {}, {})
    store = Store(str(tmp_path))

    def refuse(name, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.files, "_commit", refuse)
    key = store.put("observations", PARTS, {}, arrays=ARRAYS)
    found = store.arrays("observations", key)
    assert is_mapped(found["long"])
    np.testing.assert_array_equal(found["long"], LONG)
    assert "5 files could not be written" in said(store)[0]
    assert Store(str(tmp_path)).arrays("observations", key) is None


def test_gc_knows_the_names_of_arrays_and_the_older_ones(local):
    store, key, folder = local
    (folder / f"{key}.npz").write_bytes(b"as formerly")
    (folder / f".{key}.long.npy.{'0' * 32}.part").write_bytes(b"left")
    (folder / f"{key}.long.npy.txt").write_text("mine")
    assert store.collect(younger_than=1e12)[0] == 7
    assert [path.name for path in folder.iterdir()] == [f"{key}.long.npy.txt"]


def test_content_is_described_as_it_is_written_and_may_be_asked_for_twice():
    content = NpyContent(LONG)
    first, entry = b"".join(content), content.entry
    assert (b"".join(content), content.entry) == (first, entry)
    assert max(map(len, content)) == BLOCK
    assert len(first) == content.size == entry.size


def test_rows_are_joined_in_memory_or_in_a_file_as_concatenate_does():
    blocks = [np.full((LARGE // 64, 4), float(number)) for number in range(3)]
    for parts in (blocks, [block[:5] for block in blocks], [np.arange(3)], [np.zeros((0, 2))]):
        rows = Rows(sum(map(len, parts)))
        for part in parts:
            rows.append(part)
        whole = rows.array()
        np.testing.assert_array_equal(whole, np.concatenate(parts))
        assert is_mapped(whole) == (whole.nbytes >= LARGE)
        release(whole)
        np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("part", [np.zeros((2, 3)), np.zeros((2, 4), np.float32), np.zeros((9, 4))])
def test_rows_that_do_not_fit_are_refused(part):
    rows = Rows(4)
    rows.append(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="blocks of an array do not fit"):
        rows.append(part)
    with pytest.raises(ValueError, match="1 of 4 rows"):
        rows.array()


def test_what_is_spilled_shares_one_file_and_neighbours_do_not_touch():
    held = Spill()
    held.put("a", [b"1" * 5000, b"2"])
    held.put("b", [b"3" * 10])
    assert held.get("a").read() == b"1" * 5000 + b"2"
    assert held.get("b").read(4) == b"3" * 6
    assert held.get("b").start % spill.PAGE == 0
    assert held.get("a").file is held.get("b").file
    held.drop("a")
    assert held.get("a") is None
