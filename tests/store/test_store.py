"""The store: atomic, content-addressed, never a pickle."""

import errno
import json
import os
import time

import numpy as np
import pytest

from bench.cli import run_cli
from bench.errors import UserError
from bench.store.files import write_atomic
from bench.store.keys import differences, key_of
from bench.store.place import MARKER
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


def test_a_record_from_before_there_were_checksums_counts_as_absent_and_is_said(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("networks", PARTS, {}, blob=b"weights")
    path = tmp_path / "networks" / key[:2] / f"{key}.json"
    path.write_text(json.dumps({"parts": PARTS, "content": {}, "blob": json.loads(path.read_text())["blob"]}))
    assert store.get("networks", key) is None
    assert store.blob("networks", key) is None
    said = []
    store.tell(said.append)
    assert said == [
        f"the store {str(tmp_path)!r}: 1 record was written before there were checksums, and counted as absent"
    ]
    store.put("networks", PARTS, {}, blob=b"weights")
    assert store.blob("networks", key) == b"weights"
    store.tell(pytest.fail)


def digits_of(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0.984", b"0.184"),  # a number
        (b"0.984", b"NaN"),
        (b"accuracy", b"accurasy"),  # a part of the key
        (b"sha256", b"sha257"),  # the checksum's own name
        (b'"content"', b'"contend"'),
        (b'"parts"', b'"partz"'),
    ],
)
def test_one_changed_piece_of_a_record_is_damage_and_is_said_once(store, old, new):
    key = store.put("cells", PARTS, {"estimate": 0.984})
    store.flush()
    name = f"cells/{key[:2]}/{key}.json"
    store.files.write(name, digits_of(store.files.read(name), old, new))
    assert store.get("cells", key) is None
    assert store.get("cells", key) is None
    said = []
    store.tell(said.append)
    assert len(said) == 1
    assert f"1 file was damaged and counted as absent, what needs it is measured again ({name}: " in said[0]
    store.tell(pytest.fail)


def test_a_record_under_the_key_of_another_is_damage(store):
    first, second = store.put("cells", PARTS, {"x": 1}), store.put("cells", {"other": 1}, {"x": 2})
    store.flush()
    store.files.write(f"cells/{first[:2]}/{first}.json", store.files.read(f"cells/{second[:2]}/{second}.json"))
    assert store.get("cells", first) is None
    assert store.get("cells", second).content == {"x": 2}


@pytest.mark.parametrize("how", ["lost", "of another", "one bit"])
def test_arrays_are_those_of_their_record_or_none(store, how):
    key = store.put("observations", PARTS, {}, arrays={"x": np.arange(4.0)})
    other = store.put("observations", {"other": 1}, {}, arrays={"x": np.arange(5.0)})
    store.flush()
    name = f"observations/{key[:2]}/{key}.x.npy"
    if how == "lost":
        store.files.delete(name)
    elif how == "of another":
        store.files.write(name, store.files.read(f"observations/{other[:2]}/{other}.x.npy"))
    else:
        content = bytearray(store.files.read(name))
        content[40] ^= 1
        store.files.write(name, bytes(content))
    assert not store.holds("observations", key)
    assert store.holds("observations", other)
    said = []
    store.tell(said.append)
    assert len(said) == 1
    why = {"lost": "lost", "of another": "its size does not fit", "one bit": "its checksum does not fit"}
    assert f"({name}: {why[how]})" in said[0]


def test_a_record_without_arrays_has_none_and_none_are_lost(store):
    key = store.put("cells", PARTS, {})
    assert store.arrays("cells", key) is None
    assert store.blob("cells", key) is None
    store.tell(pytest.fail)


def test_what_lies_where_a_record_should_is_damage_never_a_traceback_or_a_hang(tmp_path):
    store = Store(str(tmp_path))
    keys = [store.put("cells", {"n": n}, {}) for n in range(3)]
    folder, pipe, below = (tmp_path / "cells" / key[:2] / f"{key}.json" for key in keys)
    folder.unlink()
    folder.mkdir()
    pipe.unlink()
    os.mkfifo(pipe)
    below.unlink()
    below.parent.rmdir()
    below.parent.write_text("a file")
    assert [store.get("cells", key) for key in keys] == [None, None, None]
    assert list(store.records("cells")) == []
    said = []
    store.tell(said.append)
    assert "2 files were damaged" in said[0]
    store.put("cells", {"n": 0}, {"again": 1})  # no file can lie where a folder lies: kept in memory alone
    assert store.get("cells", keys[0]).content == {"again": 1}
    store.tell(said.append)
    assert "1 file could not be written (Is a directory): it is not kept" in said[1]


@pytest.mark.parametrize("how", ["folder", "file", "pipe", "unreadable"])
def test_lists_of_roots_that_cannot_be_read_free_nothing(tmp_path, monkeypatch, how):
    store = Store(str(tmp_path))
    key = store.put("cells", PARTS, {})
    store.set_roots("s", [key])
    (root,) = (tmp_path / "roots").iterdir()
    if how == "unreadable":  # whoever tests as root may read all

        def refuse(top):
            raise PermissionError(errno.EACCES, "Permission denied", top)

        monkeypatch.setattr("os.scandir", refuse)
    else:
        root.unlink()
        if how == "folder":
            root.mkdir()
        elif how == "pipe":
            os.mkfifo(root)
        else:
            root.parent.rmdir()
            root.parent.write_text("")
    with pytest.raises(UserError, match=r"damaged|cannot be listed|cannot be opened") as found:
        Store(str(tmp_path)).collect(younger_than=time.time() + 9)
    assert len(str(found.value).splitlines()) == 1
    assert store.get("cells", key) is not None


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
    path = tmp_path / "observations" / key[:2] / f"{key}.x.npy"
    path.write_bytes(path.read_bytes()[:50])
    assert store.arrays("observations", key) is None
    np.save(path, np.array([{"a": 1}], dtype=object))
    assert not store.holds("observations", key)


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
    assert written != ["npy", "bin", "json"]  # still on their way
    assert store.get("observations", key) is not None
    assert written == ["npy", "bin", "json"]

    def full(name, content):
        raise OSError("disk full")

    monkeypatch.setattr(store.files, "write", full)
    store.put("cells", PARTS, {})
    store.put("cells", {"other": 1}, {})
    with pytest.raises(OSError, match="disk full"):
        store.flush()


OWN = "a" * 64
FOREIGN = (
    "networks/holiday.jpg",
    "networks/aa/notes.json",
    f"networks/{OWN}.json",
    f"networks/ab/{OWN}.json",
    f"networks/aa/{OWN}.txt",
    f"networks/aa/deeper/{OWN}.json",
    f"other/aa/{OWN}.json",
    f"cells/aa/{'A' * 64}.json",
    "roots/mine.txt",
    "README.md",
)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_with_anything_else_in_it_is_no_store_and_keeps_it(tmp_path, name, capsys, monkeypatch):
    Store(str(tmp_path)).put("cells", PARTS, {})
    (tmp_path / MARKER).unlink()
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(UserError, match="the folder holds what no store does"):
        Store(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for url in ("", " ", ".", "file:", "file://", str(tmp_path)):
        assert run_cli(["gc", "--older-than", "0", "--store", url]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setenv("CRBENCH_STORE", "")
    assert run_cli(["gc", "--older-than", "0"]) == 2
    assert "its URL is empty" in capsys.readouterr().err
    assert file.read_text() == "mine"
    (tmp_path / MARKER).touch()  # its owner says that it is one: even then nothing else goes
    Store(str(tmp_path)).collect(younger_than=1e12)
    assert file.read_text() == "mine"
    assert not list((tmp_path / "cells").rglob(f"{key_of(PARTS)}.json"))


def test_a_store_from_before_there_were_markers_is_taken_and_marked(tmp_path):
    Store(str(tmp_path)).put("cells", PARTS, {})
    (tmp_path / MARKER).unlink()
    (tmp_path / ".gitignore").write_text("*")
    (tmp_path / "cells" / "aa").mkdir(exist_ok=True)
    (tmp_path / "cells" / "aa" / f".{OWN}.json.{'0' * 32}.part").write_text("left")
    store = Store(str(tmp_path))
    assert store.get("cells", key_of(PARTS)) is not None
    assert not (tmp_path / MARKER).exists()
    store.put("cells", {"other": 1}, {})
    assert (tmp_path / MARKER).exists()
    assert store.collect(younger_than=1e12)[0] == 3  # two records and the leftover
    assert (tmp_path / ".gitignore").exists()


def test_looking_at_a_store_that_is_not_there_makes_none(tmp_path):
    store = Store(str(tmp_path / "new"))
    assert store.get("cells", OWN) is None
    assert store.collect(younger_than=1e12) == (0, 0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("link", ["file", "folder", "kind"])
def test_collect_never_follows_a_link_out_of_the_store(tmp_path, link):
    store = Store(str(tmp_path / "store"))
    store.put("networks", PARTS, {})
    mine = tmp_path / "mine" / "aa" / f"{OWN}.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    root = tmp_path / "store"
    if link == "kind":
        (root / "cells").symlink_to(tmp_path / "mine")
    elif link == "folder":
        (root / "cells").mkdir()
        (root / "cells" / "aa").symlink_to(mine.parent)
    else:
        (root / "cells" / "aa").mkdir(parents=True)
        (root / "cells" / "aa" / mine.name).symlink_to(mine)
    assert store.collect(younger_than=1e12)[0] == 1
    assert mine.read_text() == "mine"


def test_a_changed_key_in_a_list_of_roots_frees_nothing(tmp_path):
    store = Store(str(tmp_path))
    key = store.put("cells", PARTS, {})
    store.set_roots("s", [key])
    (root,) = (tmp_path / "roots").iterdir()
    text = root.read_text()
    root.write_text(text.replace(key, ("0" if key[0] != "0" else "1") + key[1:]))
    with pytest.raises(UserError, match="damaged"):
        store.collect(younger_than=time.time() + 9)
    root.write_text(json.dumps({"keys": [key], "name": "s"}))  # as written before there were checksums
    assert store.collect(younger_than=time.time() + 9) == (0, 0)


def refuse(number):
    def commit(name, content):
        raise OSError(number, os.strerror(number))

    return commit


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_store_that_may_only_be_read_keeps_nothing_and_says_so(tmp_path, monkeypatch, number, background):
    Store(str(tmp_path)).put("cells", PARTS, {"x": 1})
    store = Store(str(tmp_path), background=background)
    monkeypatch.setattr(store.files, "_commit", refuse(number))
    assert store.get("cells", key_of(PARTS)).content == {"x": 1}
    key = store.put("observations", {"new": 1}, {"y": 2}, arrays={"x": np.ones(2)})
    store.set_roots("s", [key])
    store.flush()
    assert store.get("observations", key).content == {"y": 2}
    assert store.arrays("observations", key)["x"].tolist() == [1, 1]
    said = []
    store.tell(said.append)
    assert said == [
        f"the store {str(tmp_path)!r}: 3 files could not be written ({os.strerror(number)}): none of it is kept"
    ]
    assert Store(str(tmp_path)).get("observations", key) is None


@pytest.mark.parametrize(("there", "number"), [(True, errno.ENOSPC), (False, errno.EACCES), (False, errno.EROFS)])
def test_a_full_disk_or_a_store_that_cannot_be_made_ends_the_work(tmp_path, monkeypatch, there, number):
    if there:
        Store(str(tmp_path)).put("cells", PARTS, {"x": 1})
    store = Store(str(tmp_path))
    monkeypatch.setattr(store.files, "_commit", refuse(number))
    for write in (lambda: store.put("cells", {"new": 1}, {}), lambda: store.set_roots("s", [])):
        with pytest.raises(UserError, match=f"cannot be written: {os.strerror(number)}"):
            write()
