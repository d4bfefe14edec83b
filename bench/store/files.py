"""Crash-safe files: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from bench.errors import UserError


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside the target, fsync, rename over it, fsync the folder; the temporary file never stays.

    Raises:
        UserError: the place cannot be written, or the disk is full.
    """
    try:
        _write_atomic(path, content)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError.at(str(path), what, "give a place with room that may be written") from error


def _write_atomic(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Files:
    """Bytes by relative path under any fsspec URL; local folders get the atomic write."""

    def __init__(self, url: str) -> None:
        filesystem: Any
        try:
            filesystem, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:  # an unknown protocol, or one whose package is absent
            raise UserError.at(f"the store {url!r}", str(error), "give a folder, or an fsspec URL") from None
        self.filesystem = filesystem
        self.root = str(root).rstrip("/")
        self.local = isinstance(filesystem, LocalFileSystem)
        place = Path(self.root or "/")
        if self.local and any(part.is_file() for part in (place, *place.parents)):
            raise UserError.at(f"the store {url!r}", "is a file, or in one", "give a folder, or an fsspec URL")

    def write(self, name: str, content: bytes) -> None:
        """Commit the whole content under the name."""
        target = f"{self.root}/{name}"
        if self.local:
            write_atomic(Path(target), content)
            return
        temporary = f"{target}.{uuid.uuid4().hex}.part"
        self.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self.filesystem.pipe_file(temporary, content)
        self.filesystem.mv(temporary, target)

    def read(self, name: str) -> bytes | None:
        """The content, or None where there is none."""
        try:
            return bytes(self.filesystem.cat_file(f"{self.root}/{name}"))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Every file below a folder, sorted, relative to the root."""
        found = self.filesystem.find(f"{self.root}/{folder}") if self.filesystem.exists(f"{self.root}/{folder}") else []
        start = self.root.lstrip("/")
        return sorted(str(name).lstrip("/").removeprefix(start).lstrip("/") for name in found)

    def modified(self, name: str) -> float:
        """Seconds since the epoch; 0 where the file system does not say."""
        try:
            return float(self.filesystem.modified(f"{self.root}/{name}").timestamp())
        except (NotImplementedError, FileNotFoundError):
            return 0.0

    def size(self, name: str) -> int:
        """Bytes."""
        return int(self.filesystem.size(f"{self.root}/{name}") or 0)

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        if self.filesystem.exists(f"{self.root}/{name}"):
            self.filesystem.rm_file(f"{self.root}/{name}")
