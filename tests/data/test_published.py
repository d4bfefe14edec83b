"""Published files: only their own content is taken, from this machine or from a server."""

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.data.published import Published, data_folder, download, find_folder, read_published
from bench.errors import UserError

CONTENT = bytes(range(256)) * 4000
FILE = Published("numbers.gz", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that takes no more is expected."""


@pytest.fixture
def server(tmp_path):
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with Server(("127.0.0.1", 0), partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_download_is_whole_and_reported(server, tmp_path):
    folder, base = server
    (folder / FILE.name).write_bytes(gzip.compress(CONTENT, 1))
    told = []
    download(FILE, base, tmp_path / "new" / "kept", told.append)
    assert read_published(tmp_path / "new" / "kept" / FILE.name, FILE) == CONTENT
    assert told[0].startswith("numbers.gz: 0.0 MB of 0.0 MB")
    assert told[-1].endswith("kept\n")
    assert [path.name for path in (tmp_path / "new" / "kept").iterdir()] == [FILE.name]


def test_another_compression_of_the_same_content_serves(tmp_path):
    for level in (1, 9):
        (tmp_path / FILE.name).write_bytes(gzip.compress(CONTENT, level))
        assert read_published(tmp_path / FILE.name, FILE) == CONTENT


BAD = {
    "other content": (gzip.compress(CONTENT[:-1] + b"?"), "its content has sha256 "),
    "cut": (gzip.compress(CONTENT)[:-300], "its content has sha256 "),
    "longer": (gzip.compress(CONTENT * 50), "its content has sha256 "),  # not decompressed further than needed
    "no gzip": (b"<html>not found</html>", "it is no gzip archive"),
    "empty": (b"", "its content has sha256 "),
}


@pytest.mark.parametrize(("blob", "said"), BAD.values(), ids=BAD)
def test_what_is_not_the_published_file_is_never_kept(server, tmp_path, blob, said):
    folder, base = server
    (folder / FILE.name).write_bytes(blob)
    with pytest.raises(UserError, match=said) as error:
        download(FILE, base, tmp_path / "kept")
    assert str(error.value).startswith(base)
    assert not (tmp_path / "kept").exists()
    with pytest.raises(UserError, match=said):
        read_published(folder / FILE.name, FILE)


def test_far_too_much_is_not_taken(server, tmp_path):
    folder, base = server
    (folder / FILE.name).write_bytes(b"\0" * (FILE.size + (2 << 20)))
    with pytest.raises(UserError, match=r"more than \d+ bytes came"):
        download(FILE, base, tmp_path / "kept")


def test_no_server(server, tmp_path):
    _, base = server
    with pytest.raises(
        UserError, match=r"numbers\.gz: cannot be downloaded: File not found; try again, or put the files"
    ):
        download(FILE, base, tmp_path)
    with pytest.raises(UserError, match=r"cannot be downloaded: .*refused"):
        download(FILE, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(UserError, match="'file:///etc' is no web address"):
        download(FILE, "file:///etc", tmp_path)


def test_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("CRBENCH_DATA", "/somewhere")
    assert data_folder("numbers") == Path("/somewhere/numbers")
    monkeypatch.delenv("CRBENCH_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder("numbers") == Path("/cache/crbench/numbers")
    second = tmp_path / "second"
    second.mkdir()
    assert find_folder([FILE], [tmp_path, second]) is None
    (second / FILE.name).touch()
    assert find_folder([FILE], [tmp_path, second]) == second
