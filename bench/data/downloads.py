"""Folders of downloaded data sets: in the store of the run, or of the user's choice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.store.files import Files

VARIABLE: Final = "CRBENCH_DATA"
_STORE: ContextVar[str | None] = ContextVar("store", default=None)


@contextmanager
def kept_in(store: str) -> Iterator[None]:
    """While it is entered, downloads are kept in this store."""
    token = _STORE.set(store)
    try:
        yield
    finally:
        _STORE.reset(token)


def data_folder(name: str) -> Path:
    """The folder of a data set's downloads: ``$CRBENCH_DATA/NAME``, else ``data/NAME`` in the run's store.

    Raises:
        UserError: the store is no folder of this machine.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given) / name
    return Path(_files().root) / _folder(name)


def keep(name: str, file: str, content: bytes) -> None:
    """Write a downloaded file where ``data_folder`` says, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    from bench.store.files import write_atomic

    if given := os.environ.get(VARIABLE):
        write_atomic(Path(given) / name / file, content)
        return
    files, path = _files(), f"{_folder(name)}/{file}"
    files.write(path, content)  # a new store gets its marker first
    if path in files.unkept:
        what = f"the download cannot be kept: {files.unkept[path]}"
        raise UserError.at(f"the store {files.url!r}", what, f"let {VARIABLE} name a folder")


def _folder(name: str) -> str:
    from bench.store.place import DATA

    return f"{DATA}/{name}"


def _files() -> Files:
    from bench.store.files import Files

    files = Files(_STORE.get() or os.environ.get("CRBENCH_STORE", ".crbench"))
    if not files.local:
        what = "downloads cannot be kept on it"
        raise UserError.at(f"the store {files.url!r}", what, f"let {VARIABLE} name a folder")
    return files
