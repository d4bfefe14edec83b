"""Published files: only their own content is taken, from this machine or from a server."""

import gzip
import hashlib
import ssl
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.data.downloads import data_folder, kept_in
from bench.data.published import Published, download, find_folder, read_published
from bench.errors import UserError
from bench.store.place import MARKER
from bench.store.store import Store

CONTENT = bytes(range(256)) * 4000
FILE = Published("numbers.gz", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture(autouse=True)
def _kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CRBENCH_DATA", str(tmp_path))


TLS = Path(__file__).parent / "tls"  # a key of the tests alone, for 127.0.0.1


class Handler(SimpleHTTPRequestHandler):
    redirect = ""

    def do_GET(self):
        if not self.redirect:
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", self.redirect)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that takes no more is expected."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with Server(("127.0.0.1", 0), partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
        running.socket = context.wrap_socket(running.socket, server_side=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
        yield folder, f"https://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_download_is_whole_and_reported(server, tmp_path):
    folder, base = server
    (folder / FILE.name).write_bytes(gzip.compress(CONTENT, 1))
    told = []
    download(FILE, base, "kept", told.append)
    assert read_published(tmp_path / "kept" / FILE.name, FILE) == CONTENT
    assert told[0].startswith("numbers.gz: 0.0 MB of 0.0 MB")
    assert told[-1].endswith("kept\n")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [FILE.name]


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
        download(FILE, base, "kept")
    assert str(error.value).startswith(base)
    assert not (tmp_path / "kept").exists()
    with pytest.raises(UserError, match=said):
        read_published(folder / FILE.name, FILE)


def test_far_too_much_is_not_taken(server, tmp_path):
    folder, base = server
    (folder / FILE.name).write_bytes(b"\0" * (FILE.size + (2 << 20)))
    with pytest.raises(UserError, match=r"more than \d+ bytes came"):
        download(FILE, base, "kept")


def test_no_server(server, tmp_path):
    _, base = server
    with pytest.raises(
        UserError, match=r"numbers\.gz: cannot be downloaded: File not found; try again, or put the files"
    ):
        download(FILE, base, "kept")
    with pytest.raises(UserError, match=r"cannot be downloaded: .*refused"):
        download(FILE, "https://127.0.0.1:9", "kept")


@pytest.mark.parametrize("base", ["http://127.0.0.1:9/", "file:///etc", "ftp://127.0.0.1/", "/etc", ""])
def test_only_https_is_asked(tmp_path, base):
    with pytest.raises(UserError, match=f"data.url: {base!r} is no https address; begin it with https://"):
        download(FILE, base, "kept")


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/numbers.gz", "ftp://127.0.0.1:9/numbers.gz"])
def test_a_server_cannot_lead_to_where_there_is_no_https(server, tmp_path, monkeypatch, target):
    folder, base = server
    (folder / FILE.name).write_bytes(gzip.compress(CONTENT))
    monkeypatch.setattr(Handler, "redirect", target)
    with pytest.raises(UserError, match=f"it leads to '{target}', which is no https address"):
        download(FILE, base, "kept")
    assert not (tmp_path / "kept").exists()


def test_a_server_that_nobody_vouches_for_is_not_trusted(server, tmp_path, monkeypatch):
    folder, base = server
    (folder / FILE.name).write_bytes(gzip.compress(CONTENT))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(UserError, match=r"cannot be downloaded: .*certificate"):
        download(FILE, base, "kept")


def test_folders(tmp_path, monkeypatch):
    assert data_folder("numbers") == tmp_path / "numbers"
    monkeypatch.delenv("CRBENCH_DATA")
    monkeypatch.chdir(tmp_path)
    assert data_folder("numbers") == tmp_path / ".crbench" / "data" / "numbers"
    with kept_in(str(tmp_path / "mine")):
        assert data_folder("numbers") == tmp_path / "mine" / "data" / "numbers"
    with (
        kept_in("memory://store"),
        pytest.raises(UserError, match=r"downloads cannot be kept on it; let CRBENCH_DATA name a folder"),
    ):
        data_folder("numbers")
    second = tmp_path / "second"
    second.mkdir()
    assert find_folder([FILE], [tmp_path, second]) is None
    (second / FILE.name).touch()
    assert find_folder([FILE], [tmp_path, second]) == second


def test_a_download_goes_into_the_store_which_gc_leaves_alone(server, tmp_path, monkeypatch):
    folder, base = server
    (folder / FILE.name).write_bytes(gzip.compress(CONTENT))
    monkeypatch.delenv("CRBENCH_DATA")
    store = tmp_path / "store"
    with kept_in(str(store)):
        download(FILE, base, "numbers")
    assert read_published(store / "data" / "numbers" / FILE.name, FILE) == CONTENT
    assert (store / MARKER).is_file()
    assert Store(str(store)).collect(younger_than=time.time() + 10) == (0, 0)
    assert (store / "data" / "numbers" / FILE.name).is_file()
