"""Crash-safe files: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from bench.errors import UserError
from bench.store.place import MARK, MARKER, RIGHT, check_content, filesystem_of
from bench.store.spill import PIECE, Region, Spill, spill_of
from bench.wording import plain

T = TypeVar("T")
Content: TypeAlias = bytes | Iterable[bytes]  # whole, or in pieces that may be asked for again

# what says that a place may not be written; a full disk is none of these
REFUSALS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS,
        errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP,  # something else lies there
    }
)  # fmt: skip


def write_atomic(path: Path, content: Content) -> None:
    """Write beside the target, fsync, rename over it, fsync the folder; the temporary file never stays.

    Raises:
        UserError: the place cannot be written, or the disk is full.
    """
    try:
        _write_atomic(path, content)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError.at(str(path), what, "give a place with room that may be written") from error


def pieces_of(content: Content) -> Iterable[bytes]:
    """The pieces of content, one after another."""
    return (content,) if isinstance(content, bytes) else content


def _write_atomic(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as handle:
            for piece in pieces_of(content):
                handle.write(piece)
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
    """Bytes by relative path under any fsspec URL; local folders get the atomic write.

    A store that may be read and not written is a store all the same: what cannot be written stays in memory, and
    ``unkept`` says why. What comes in pieces is large and never whole in memory: where it cannot lie in the store
    itself, and where the store is in memory, it lies in an anonymous temporary file.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.filesystem, self.root = filesystem_of(url)
        self.local = isinstance(self.filesystem, LocalFileSystem)
        self.unkept: dict[str, str] = {}  # name -> why
        self._memory: dict[str, bytes] = {}
        self._spill = spill_of(self.root) if isinstance(self.filesystem, MemoryFileSystem) else Spill()
        self._fetched = Spill()  # what lies elsewhere and was read
        place = Path(self.root or "/")
        try:
            if self.local and any(part.is_file() for part in (place, *place.parents)):
                raise self._error("is a file, or in one", RIGHT)
            self.marked = self.filesystem.exists(self._at(MARKER))
            self.exists = self.marked or check_content(url, self._top(), self.names)
        except UserError:
            raise
        except Exception as error:  # no permission, no connection, and whatever else a file system may raise
            raise self._error(f"cannot be opened: {_reason(error)}", RIGHT) from error

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _error(self, what: str, right: str = "") -> UserError:
        return UserError.at(f"the store {plain(self.url)!r}", what, right)

    def _top(self) -> list[str]:
        """Names in the root folder."""
        if not self.filesystem.exists(self.root or "/"):
            return []
        return [str(name).rstrip("/").rsplit("/", 1)[-1] for name in self.filesystem.ls(self.root or "/", detail=False)]

    def write(self, name: str, content: Content) -> None:
        """Commit the whole content under the name; the first of all writes the marker.

        Raises:
            UserError: no room, or there is no store yet and none can be made.
        """
        if not self.marked:
            self.marked = True
            self._write(MARKER, MARK)
        self._write(name, content)

    def _write(self, name: str, content: Content) -> None:
        for held in (self._spill, self._fetched):
            held.drop(name)
        try:
            self._commit(name, content)
            self._memory.pop(name, None)
            self.exists = True
        except Exception as error:
            refused = isinstance(error, NotImplementedError) or getattr(error, "errno", None) in REFUSALS
            if not (refused and self.exists):
                what, right = f"cannot be written: {_reason(error)}", "give a place with room that may be written"
                raise self._error(what, right) from error
            if name != MARKER:
                if isinstance(content, bytes):
                    self._memory[name] = content
                else:
                    self._spill.put(name, content)
                self.unkept[name] = _reason(error)

    def _commit(self, name: str, content: Content) -> None:
        target = self._at(name)
        if self.local:
            _write_atomic(Path(target), content)
            return
        if isinstance(self.filesystem, MemoryFileSystem) and not isinstance(content, bytes):
            self._spill.put(name, content)
            return
        temporary = f"{target}.{uuid.uuid4().hex}.part"
        self.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        if isinstance(content, bytes):
            self.filesystem.pipe_file(temporary, content)
        else:
            with self.filesystem.open(temporary, "wb") as handle:
                for piece in content:
                    handle.write(piece)
        self.filesystem.mv(temporary, target)

    def read(self, name: str) -> bytes | None:
        """The content, or None where there is none.

        Raises:
            OSError: there is something that cannot be read.
            UserError: the file system does not answer.
        """
        if name in self._memory:
            return self._memory[name]
        if (held := self._spill.get(name)) is not None:
            return held.read()
        return self._reading(lambda: self._file(name).read_bytes() if self.local else self._content(name))

    def _content(self, name: str) -> bytes:
        return bytes(self.filesystem.cat_file(self._at(name)))

    def region(self, name: str) -> Region | None:
        """The content as an open file, to be read in parts, or None where there is none.

        What lies elsewhere is copied into a temporary file, a piece at a time, when it is first asked for.

        Raises:
            OSError: there is something that cannot be read.
            UserError: the file system does not answer.
        """
        for held in (self._spill, self._fetched):
            if (region := held.get(name)) is not None:
                return region
        if self.local and name not in self._memory:
            return self._reading(lambda: self._opened(name))
        self._reading(lambda: self._fetched.put(name, self._pieces(name)))
        return self._fetched.get(name)

    def _opened(self, name: str) -> Region:
        file = self._file(name).open("rb", buffering=0)
        return Region(file, 0, os.fstat(file.fileno()).st_size, own=True)

    def _pieces(self, name: str) -> Iterator[bytes]:
        if name in self._memory:
            yield self._memory[name]
            return
        with self.filesystem.open(self._at(name), "rb") as handle:
            while piece := handle.read(PIECE):
                yield piece

    def _file(self, name: str) -> Path:
        path = Path(self._at(name))
        if path.exists() and not path.is_file():  # a pipe would never end
            raise OSError("it is no file")
        return path

    def _reading(self, read: Callable[[], T]) -> T | None:
        """The content that is read, or None where it is not there."""
        try:
            return read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            raise
        except Exception as error:
            raise self._error(f"cannot be read: {_reason(error)}") from error

    def length(self, name: str) -> int | None:
        """Bytes of a file that can be read, or None where there is none; nothing is read of it."""
        if name in self._memory:
            return len(self._memory[name])
        for held in (self._spill, self._fetched):
            if (region := held.get(name)) is not None:
                return region.size
        return self._reading(lambda: self._file(name).stat().st_size if self.local else self.size(name))

    def names(self, folder: str) -> list[str]:
        """Every file below a folder, sorted, relative to the root; links to folders are not followed.

        Raises:
            UserError: a folder cannot be listed.
        """
        held = [name for name in self._spill.names() if name.startswith(f"{folder}/")] if not self.local else []
        if not self.filesystem.exists(self._at(folder)):
            return sorted(held)
        if self.local:
            return sorted(Path(path).relative_to(self.root or "/").as_posix() for path in self._walk(folder))
        start = self.root.lstrip("/")
        paths = self.filesystem.find(self._at(folder))
        return sorted([*held, *(str(name).lstrip("/").removeprefix(start).lstrip("/") for name in paths)])

    def _walk(self, folder: str) -> Iterator[str]:
        """Everything below a folder that is no folder, and folders whose names are those of files."""

        def fail(error: OSError) -> None:
            raise self._error(f"{folder} cannot be listed: {_reason(error)}", "let it be read") from error

        for above, folders, files in os.walk(self._at(folder), onerror=fail):
            for name in (*files, *(name for name in folders if "." in name)):
                yield os.path.join(above, name)  # noqa: PTH118

    def plain_file(self, name: str) -> bool:
        """Whether it is a file, and nothing on the way to it a link, which may lead out of the store."""
        steps = [Path(self.root, *name.split("/")[: count + 1]) for count in range(name.count("/") + 1)]
        return not self.local or (steps[-1].is_file() and not any(step.is_symlink() for step in steps))

    def modified(self, name: str) -> float:
        """Seconds since the epoch; 0 where the file system does not say."""
        if name in self._spill:
            return self._spill.modified(name)
        try:
            return float(self.filesystem.modified(self._at(name)).timestamp())
        except (NotImplementedError, FileNotFoundError):
            return 0.0

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        if (held := self._spill.get(name)) is not None:
            return held.size
        return int(self.filesystem.size(self._at(name)) or 0)

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine.

        Raises:
            UserError: it cannot be removed.
        """
        for held in (self._spill, self._fetched):
            held.drop(name)
        try:
            if self.filesystem.exists(self._at(name)):
                self.filesystem.rm_file(self._at(name))
        except Exception as error:
            what, right = f"{name} cannot be removed: {_reason(error)}", "free it where it may be written"
            raise self._error(what, right) from error


def _reason(error: Exception) -> str:
    """Why, in a few words."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
