"""Content-addressed records with arrays or a blob beside them; it never knows what it holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from bench.errors import UserError
from bench.store.checksums import SEAL, is_whole, sealed, sha256
from bench.store.files import Files
from bench.store.keys import canonical_json, key_of
from bench.store.notices import Notices
from bench.store.npy import ArrayEntry, NpyContent, check_names
from bench.store.place import KINDS, ROOTS, is_leftover, is_own, key_of_name
from bench.store.spill import SMALL
from bench.store.stored import StoredArrays
from bench.store.writer import Writer

Kind = Literal["networks", "observations", "cells", "families"]
FIELDS = frozenset({"parts", "content", SEAL, "arrays", "blob"})  # the last two: what lies beside it, with its sha256
UNSEALED = (frozenset({"parts", "content"}), frozenset({"parts", "content", "blob"}))  # before there were checksums


@dataclass(frozen=True)
class Record:
    """One committed object: the parts its key was made of, and its content."""

    kind: Kind
    key: str
    parts: dict[str, Any]
    content: dict[str, Any]


class Store:
    """Records by key under an fsspec URL: arrays and blob are written first, the JSON last as commit marker.

    >>> store = Store("memory://doctest")
    >>> key = store.put("cells", {"metric": "accuracy"}, {"estimate": 0.5})
    >>> store.get("cells", key).content
    {'estimate': 0.5}
    """

    def __init__(self, url: str, *, background: bool = False) -> None:
        """``background``: ``put`` returns before the disk has it; ``flush`` waits.

        Raises:
            UserError: the URL names no place, or one that holds other things than a store.
        """
        self.url = url
        self.files = Files(url)
        self.notices = Notices(url, unkept=self.files.unkept)
        self._writer = Writer() if background else None

    def _read(self, name: str) -> bytes | None:
        if self._writer is not None:
            self._writer.wait(name)
        try:
            return self.files.read(name)
        except OSError as error:
            self.notices.damaged[name] = error.strerror or str(error)
            return None

    def tell(self, say: Callable[[str], None] | None = None) -> None:
        """Say, a line each, what was damaged and what could not be kept since it was last said."""
        for line in self.notices.lines():
            if say is None:
                print(f"crbench: warning: {line}", file=sys.stderr)
            else:
                say(line)

    def flush(self) -> None:
        """Wait until everything put is committed."""
        if self._writer is not None:
            self._writer.flush()

    @staticmethod
    def _path(kind: Kind, key: str, ending: str) -> str:
        return f"{kind}/{key[:2]}/{key}.{ending}"

    def put(
        self,
        kind: Kind,
        parts: dict[str, Any],
        content: dict[str, Any],
        *,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        blob: bytes | None = None,
    ) -> str:
        """Commit an object and answer its key; large arrays must not change until it is committed.

        Raises:
            ValueError: NaN in the content, objects in an array, or a name that no file can have.
        """
        key = key_of(parts)
        record: dict[str, Any] = {"parts": parts, "content": content}
        canonical_json(record)  # refuse what JSON cannot hold here, not in the background
        check_names(list(arrays or ()))
        beside = {name: NpyContent(arrays[name]) for name in sorted(arrays or ())} if arrays is not None else None
        paths = {name: self._path(kind, key, f"{name}.npy") for name in beside or ()}
        marker, weights = self._path(kind, key, "json"), self._path(kind, key, "bin")

        def commit() -> None:
            for name, array in (beside or {}).items():
                self.files.write(paths[name], array if array.size > SMALL else b"".join(array))
            if beside is not None:
                record["arrays"] = {name: array.entry.canonical() for name, array in beside.items()}
            if blob is not None:
                self.files.write(weights, blob)
                record["blob"] = sha256(blob)
            self.files.write(marker, json.dumps(sealed(record), allow_nan=False, sort_keys=True).encode())

        if self._writer is None:
            commit()
        else:
            self._writer.submit([*paths.values(), weights, marker], commit)
        return key

    def get(self, kind: Kind, key: str) -> Record | None:
        """The record, or None where none was committed or it is damaged."""
        data = self._json(kind, key)
        return None if data is None else Record(kind, key, data["parts"], data["content"])

    def reject(self, kind: Kind, key: str, why: str) -> None:
        """Note that a record cannot be what it says: whoever reads it counts it as absent."""
        self.notices.damaged[self._path(kind, key, "json")] = why

    def _json(self, kind: Kind, key: str) -> dict[str, Any] | None:
        """The content that was committed under this key, or None where nothing was or it is damaged."""
        name = self._path(kind, key, "json")
        text = self._read(name)
        if text is None:
            return None
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict) and data.keys() in UNSEALED:
            self.notices.unsealed.add(name)
            return None
        if not isinstance(data, dict) or not data.keys() <= FIELDS or not is_whole(data) or not _tables(data):
            self.notices.damaged[name] = "its checksum does not fit"
            return None
        if key_of(data["parts"]) != key:
            self.notices.damaged[name] = "another record's"
            return None
        return data

    def find(self, kind: Kind, parts: dict[str, Any]) -> Record | None:
        """The record whose key is made of these parts, or None."""
        return self.get(kind, key_of(parts))

    def arrays(self, kind: Kind, key: str) -> StoredArrays | None:
        """The arrays beside a record, or None where absent, lost or of another size than what was committed.

        Each is read-only, mapped where it is large, and checked when it is first read by name: one that is not what was
        committed raises ``DamagedArrays`` then.
        """
        data = self._json(kind, key)
        if data is None or data.get("arrays") is None:
            return None
        if isinstance(data["arrays"], str):
            self.notices.older.add(self._path(kind, key, "json"))
            return None
        try:
            check_names(list(data["arrays"]))
            entries = {name: ArrayEntry.read(item) for name, item in data["arrays"].items()}
        except (ValueError, TypeError, AttributeError):
            self.reject(kind, key, "it describes no arrays")
            return None
        paths = {name: self._path(kind, key, f"{name}.npy") for name in entries}
        for name, entry in entries.items():
            try:
                length = self.files.length(paths[name])
            except OSError as error:
                self.notices.damaged[paths[name]] = error.strerror or str(error)
                return None
            if length != entry.size:
                self.notices.damaged[paths[name]] = "lost" if length is None else "its size does not fit"
                return None
        return StoredArrays(key, {name: (paths[name], entries[name]) for name in entries}, self.files, self.notices)

    def holds(self, kind: Kind, key: str) -> bool:
        """Whether a record's arrays are all what was committed: each is read, a piece at a time."""
        arrays = self.arrays(kind, key)
        return arrays is not None and arrays.whole()

    def blob(self, kind: Kind, key: str) -> bytes | None:
        """The bytes beside a record, or None where absent or other than what was committed."""
        data = self._json(kind, key)
        if data is None or data.get("blob") is None:
            return None
        name = self._path(kind, key, "bin")
        content = self._read(name)
        if content is not None and sha256(content) == data["blob"]:
            return content
        self.notices.damaged.setdefault(name, "lost" if content is None else "its checksum does not fit")
        return None

    def records(self, kind: Kind) -> Iterator[Record]:
        """Every committed record of a kind, in key order."""
        self.flush()
        for name in self.files.names(kind):
            key = key_of_name(name)
            record = self.get(kind, key) if key is not None and name.endswith(".json") else None
            if record is not None:
                yield record

    def set_roots(self, name: str, keys: Iterable[str]) -> None:
        """Say which objects the latest run of a suite uses; ``collect`` keeps them."""
        content = json.dumps(sealed({"name": name, "keys": sorted(set(keys))}))
        self.files.write(f"{ROOTS}/{key_of(name)}.json", content.encode())

    def roots(self) -> set[str]:
        """Every key that some suite's latest run uses; a damaged list, which protects nothing, raises ``UserError``."""
        kept: set[str] = set()
        for name in self.files.names(ROOTS):
            if is_leftover(name) or not is_own(name):
                continue  # what a crashed writer left, or somebody else's
            try:
                content = json.loads(self.files.read(name) or b"")
                if content.keys() != {"name", "keys"} and not is_whole(content):  # those two alone: before checksums
                    raise ValueError("its checksum does not fit")
                kept.update(str(key) for key in content["keys"])
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                what = "damaged: what its suite uses is not known"
                raise UserError.at(f"{self.url}/{name}", what, "remove it, then run the suite again") from None
        return kept

    def collect(self, *, younger_than: float, dry_run: bool = False) -> tuple[int, int]:
        """Delete what no suite's latest run uses and what crashed writers left, unless modified after ``younger_than``.

        Answers (files, bytes). ``younger_than`` is in seconds since the epoch: a run in progress keeps its objects.
        Files of names that no store writes stay, and so does whatever lies behind a link.

        Raises:
            UserError: a list of what is used is damaged, or a file cannot be removed.
        """
        self.flush()
        kept = self.roots()
        files = size = 0
        for kind in KINDS:
            for name in self.files.names(kind):
                key = key_of_name(name)
                if key is None or (key in kept and not is_leftover(name)) or not self.files.plain_file(name):
                    continue
                if self.files.modified(name) > younger_than:
                    continue
                files += 1
                size += self.files.size(name)
                if not dry_run:
                    self.files.delete(name)
        return files, size


def _tables(data: dict[str, Any]) -> bool:
    """Whether parts and content are tables."""
    return isinstance(data.get("parts"), dict) and isinstance(data.get("content"), dict)
