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


@pytest.mark.parametrize(("url", "said"), [("nosuch://x", "nosuch"), ("file", "is a file"), ("file/deeper", "file")])
def test_a_store_that_is_no_place(tmp_path, monkeypatch, url, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=said):
        Store(url)


def test_a_place_that_does_not_exist_yet(tmp_path):
    files = Files(str(tmp_path / "new" / "store"))
    assert files.read("a/b.json") is None
    files.write("a/b.json", b"x")
    assert files.read("a/b.json") == b"x"


def test_two_commands_name_the_file(tiny, capsys):
    assert tiny.run("run", "tiny.toml", "--store", "tiny.toml", "-q") == 2
    assert "is a file" in capsys.readouterr().err
