"""Places that cannot be read or written are the user's to mend: a line each, never a traceback."""

import pytest

from bench.errors import UserError
from bench.store.files import Files, write_atomic
from bench.store.store import Store


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=r"file/deeper\.json: cannot be written"):
        write_atomic(tmp_path / "file" / "deeper.json", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_atomic(tmp_path / "folder", b"x")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]  # no temporary file stays
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nosuch://x", "nosuch"),
        ("file", "is a file"),
        ("file/deeper", "file"),
        ("", "its URL is empty"),
        ("\t ", "its URL is empty"),
        ("memory:", "names no place"),
        ("memory:x", "write memory://PLACE, or ./memory:x"),
        ("file:", "names no place"),
        ("file://", "names no place"),
        ("local://", "names no place"),
        ("s3:bucket", "write s3://PLACE"),
        ("s3://", "names no place"),
        ("s3://bucket/x", "s3fs"),
        ("github://", "github"),
        ("zip://x", "directory"),
        ("dir://x", "dir://x"),
        ("a\0b", "NUL"),
        ("ftp://127.0.0.1:1/x", "refused"),
        ("x" * 5000, "too long"),
    ],
)
def test_a_store_that_is_no_place(tmp_path, monkeypatch, url, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=said) as found:
        Store(url).put("cells", {}, {})
    assert len(str(found.value).splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("url", ["~/place", "caf\udce9", "file://{}/x", "{}/x y", "./memory:x", "local://x"])
def test_unusual_places_that_are_places(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    url = url.format(tmp_path)
    key = Store(url).put("cells", {"n": 1}, {"x": 1})
    Store(url).set_roots("caf\udce9", [key])
    assert Store(url).get("cells", key).content == {"x": 1}
    assert Store(url).collect(younger_than=1e12) == (0, 0)
    assert [*tmp_path.rglob(f"{key}.json")]


def test_a_place_that_does_not_exist_yet(tmp_path):
    files = Files(str(tmp_path / "new" / "store"))
    assert files.read("a/b.json") is None
    files.write("a/b.json", b"x")
    assert files.read("a/b.json") == b"x"


def test_two_commands_name_the_file(tiny, capsys):
    assert tiny.run("run", "tiny.toml", "--store", "tiny.toml", "-q") == 2
    assert "is a file" in capsys.readouterr().err
