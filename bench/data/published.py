"""Published files: found on this machine, else downloaded, and always checked against their known sha256."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.downloads import data_folder, keep
from bench.errors import UserError

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18


@dataclass(frozen=True)
class Published:
    """A gzipped file whose decompressed content is known."""

    name: str
    sha256: str  # of the content: an archive may have been compressed anew
    size: int  # of the content, in bytes


def find_folder(files: Iterable[Published], folders: Iterable[Path]) -> Path | None:
    """The first folder that holds every file; None where none does."""
    wanted = tuple(files)
    return next((folder for folder in folders if all((folder / file.name).is_file() for file in wanted)), None)


def read_published(path: Path, file: Published) -> bytes:
    """The decompressed content of a file on this machine.

    Raises:
        UserError: it cannot be read, is no gzip, or is not the published content.
    """
    try:
        return _content(path.read_bytes(), file)
    except (OSError, ValueError) as error:
        raise UserError.at(str(path), str(error), "give the file as it was published, or remove it") from None


def download(file: Published, base: str, name: str, tell: Callable[[str], None] | None = None) -> None:
    """Fetch ``base``/file by https and keep it with the data set's downloads, checked before, whole or not at all.

    Raises:
        UserError: it cannot be fetched, or what came is not the published content.
    """
    url = f"{base.rstrip('/')}/{file.name}"
    if not url.startswith("https://"):
        raise UserError.at("data.url", f"{base!r} is no https address", "begin it with https://")
    folder = data_folder(name)
    advice = f"try again, or put the files of {base} into {folder}"
    from http.client import HTTPException  # here: a run that has its files need not import it

    say = tell or _to_stderr
    try:
        blob = _fetch(url, file, say)
    except (HTTPException, OSError, ValueError) as error:
        raise UserError.at(url, f"cannot be downloaded: {getattr(error, 'reason', error)}", advice) from None
    try:
        _content(blob, file)
    except ValueError as error:
        raise UserError.at(url, str(error), advice) from None
    keep(name, file.name, blob)
    say(f"{file.name}: in {folder}\n")


def _fetch(url: str, file: Published, tell: Callable[[str], None]) -> bytes:
    from urllib.request import HTTPRedirectHandler, build_opener

    class Secure(HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> Any:
            """Go where the server points to, by https alone."""
            if not arguments[-1].startswith("https://"):
                raise ValueError(f"it leads to {arguments[-1][:80]!r}, which is no https address")
            return super().redirect_request(*arguments)

    parts: list[bytes] = []
    most = file.size + (1 << 20)  # gzip grows what it cannot shrink by far less
    with build_opener(Secure).open(url, timeout=TIMEOUT) as response:
        length = int(response.headers.get("Content-Length") or 0)
        whole = f" of {length / 1e6:.1f} MB" if length else ""
        done = 0
        while chunk := response.read(CHUNK):
            parts.append(chunk)
            done += len(chunk)
            if done > most:
                raise ValueError(f"more than {most} bytes came")
            tell(f"{file.name}: {done / 1e6:.1f} MB{whole}")
    if length and done != length:
        raise ValueError(f"the connection ended after {done} of {length} bytes")
    return b"".join(parts)


def _content(blob: bytes, file: Published) -> bytes:
    """Decompress at most one byte more than there should be, then compare."""
    try:
        decompressor = zlib.decompressobj(wbits=31)
        content = decompressor.decompress(blob, file.size + 1)
    except zlib.error:
        raise ValueError("it is no gzip archive") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ValueError(f"its content has sha256 {digest[:12]}..., the published file {file.sha256[:12]}...")
    return content


def _to_stderr(message: str) -> None:
    """One line that is written over where a person watches, else one line a file."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{message}")
        sys.stderr.flush()
    elif message.endswith("\n"):
        sys.stderr.write(message)
