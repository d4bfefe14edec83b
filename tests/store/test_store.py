"""The store: atomic, content-addressed, never a pickle."""

import json
import time

import numpy as np
import pytest

from bench.errors import UserError
from bench.store.files import write_atomic
from bench.store.keys import differences, key_of
from bench.store.store import Store

PARTS = {"metric": "accuracy", "n": 3}


@pytest.fixture(params=["local", "memory", "background"])
def store(request, tmp_path):
    if request.param == "background":
        return Store(str(tmp_path / "store"), background=True)
    return Store(str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path.name}{request.param}")


def test_round_trip(store):
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "s": np.float64(1.5)}
    key = store.put("observations", PARTS, {"status": "ok"}, arrays=arrays, blob=b"weights")
    assert key == key_of(PARTS)
    assert store.get("observations", key).content == {"status": "ok"}
    found = store.arrays("observations", key)
    np.testing.assert_array_equal(found["x"], arrays["x"])
    assert found["s"] == 1.5
    assert store.blob("observations", key) == b"weights"
    assert [record.key for record in store.records("observations")] == [key]
    assert store.get("cells", key) is None


def test_without_its_marker_an_object_does_not_exist(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("observations", PARTS, {}, arrays={"x": np.ones(2)})
    (tmp_path / "observations" / key[:2] / f"{key}.json").unlink()
    assert store.get("observations", key) is None
    assert list(store.records("observations")) == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"parts": {"metric": "other"}, "content": {}}', b"[]"])
def test_a_damaged_or_forged_record_does_not_exist(tmp_path, damage):
    store = Store(str(tmp_path))
    key = store.put("cells", PARTS, {"estimate": 1.0})
    (tmp_path / "cells" / key[:2] / f"{key}.json").write_bytes(damage)
    assert store.get("cells", key) is None


@pytest.mark.parametrize("damage", [b"[" * 100_000, b'{"parts": [], "content": {}}', b'{"parts": {}, "content": null}'])
def test_records_of_another_form_do_not_exist(tmp_path, damage):
    store = Store(str(tmp_path))
    key = store.put("networks", PARTS, {"estimate": 1.0}, blob=b"weights")
    (tmp_path / "networks" / key[:2] / f"{key}.json").write_bytes(damage)
    assert store.get("networks", key) is None
    assert store.blob("networks", key) is None


def test_a_blob_with_a_flipped_bit_does_not_exist(store):
    key = store.put("networks", PARTS, {}, blob=b"weights")
    assert store.blob("networks", key) == b"weights"
    store.flush()
    store.files.write(f"networks/{key[:2]}/{key}.bin", b"weighus")
    assert store.get("networks", key) is not None
    assert store.blob("networks", key) is None


def test_a_blob_committed_without_its_hash_is_taken(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("networks", PARTS, {}, blob=b"weights")
    path = tmp_path / "networks" / key[:2] / f"{key}.json"
    text = json.loads(path.read_text())
    del text["blob"]
    path.write_text(json.dumps(text))
    assert store.blob("networks", key) == b"weights"


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\xff", b'{"keys": 3}'])
def test_a_damaged_list_of_roots_frees_nothing(tmp_path, damage):
    store = Store(str(tmp_path))
    key = store.put("cells", PARTS, {})
    store.set_roots("s", [key])
    (root,) = (tmp_path / "roots").iterdir()
    root.write_bytes(damage)
    with pytest.raises(UserError, match="damaged"):
        store.collect(younger_than=time.time() + 9)
    assert store.get("cells", key) is not None


def test_damaged_arrays_do_not_exist_and_objects_are_never_unpickled(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("observations", PARTS, {}, arrays={"x": np.ones(2)})
    path = tmp_path / "observations" / key[:2] / f"{key}.npz"
    path.write_bytes(path.read_bytes()[:50])
    assert store.arrays("observations", key) is None
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    assert store.arrays("observations", key) is None


def test_a_failed_write_leaves_neither_a_part_nor_a_change(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_atomic(path, b"old")
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.json"]


def test_nan_has_no_place_in_a_record(store):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put("cells", PARTS, {"estimate": float("nan")})


def test_collect_keeps_roots_and_what_is_young(store):
    used = store.put("cells", PARTS, {})
    unused = store.put("cells", {"metric": "other"}, {}, blob=b"12345")
    store.set_roots("digits", [used])
    assert store.collect(younger_than=0.0) == (0, 0)
    assert store.collect(younger_than=1e12, dry_run=True)[0] == 2
    assert store.get("cells", unused) is not None
    assert store.collect(younger_than=1e12)[0] == 2
    assert store.get("cells", unused) is None
    assert store.get("cells", used) is not None


def test_differences_name_the_place():
    old = {"network": {"of": [{"ratio": 0.3}]}, "packages": {"torch": "2.13"}}
    new = {"network": {"of": [{"ratio": 0.5}]}, "packages": {"torch": "2.13"}}
    assert list(differences(old, new)) == [("network.of[0].ratio", 0.3, 0.5)]


def test_background_writes_keep_their_order_and_their_failures(tmp_path, monkeypatch):
    store = Store(str(tmp_path), background=True)
    written = []
    original = store.files.write

    def slow(name, content):
        time.sleep(0.02)
        written.append(name.rsplit(".", 1)[1])
        original(name, content)

    monkeypatch.setattr(store.files, "write", slow)
    key = store.put("observations", PARTS, {}, arrays={"x": np.ones(2)}, blob=b"b")
    assert written != ["npz", "bin", "json"]  # still on their way
    assert store.get("observations", key) is not None
    assert written == ["npz", "bin", "json"]

    def full(name, content):
        raise OSError("disk full")

    monkeypatch.setattr(store.files, "write", full)
    store.put("cells", PARTS, {})
    store.put("cells", {"other": 1}, {})
    with pytest.raises(OSError, match="disk full"):
        store.flush()
