"""Crash-safe files: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside the target, fsync, rename over it, fsync the folder; the temporary file never stays."""
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
        filesystem, root = fsspec.core.url_to_fs(url)
        self.filesystem = filesystem
        self.root = str(root).rstrip("/")
        self.local = isinstance(filesystem, LocalFileSystem)

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
