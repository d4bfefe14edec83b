"""Content-addressed records with arrays or a blob beside them; it never knows what it holds."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.store.arrays import read_arrays
from bench.store.files import Files
from bench.store.keys import key_of
from bench.store.writer import Writer

Kind = Literal["networks", "observations", "cells", "families"]
KINDS: tuple[Kind, ...] = ("networks", "observations", "cells", "families")


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
        """``background``: ``put`` returns before the disk has it; ``flush`` waits."""
        self.url = url
        self.files = Files(url)
        self._writer = Writer(self.files) if background else None

    def _write(self, name: str, content: bytes) -> None:
        (self._writer or self.files).write(name, content)

    def _read(self, name: str) -> bytes | None:
        if self._writer is not None:
            self._writer.wait(name)
        return self.files.read(name)

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
        """Commit an object and answer its key."""
        key = key_of(parts)
        if arrays is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **{name: np.asarray(arrays[name]) for name in sorted(arrays)})  # type: ignore[arg-type]
            self._write(self._path(kind, key, "npz"), buffer.getvalue())
        if blob is not None:
            self._write(self._path(kind, key, "bin"), blob)
        checks = {} if blob is None else {"blob": hashlib.sha256(blob).hexdigest()}
        text = json.dumps({"parts": parts, "content": content, **checks}, allow_nan=False, sort_keys=True)
        self._write(self._path(kind, key, "json"), text.encode())
        return key

    def get(self, kind: Kind, key: str) -> Record | None:
        """The record, or None where none was committed or it is damaged."""
        data = self._json(kind, key)
        if data is None:
            return None
        record = Record(kind, key, data["parts"], data["content"])
        return record if key_of(record.parts) == key else None

    def _json(self, kind: Kind, key: str) -> dict[str, Any] | None:
        """What was committed, or None where nothing was or it is damaged."""
        text = self._read(self._path(kind, key, "json"))
        try:
            data = None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None
        whole = isinstance(data, dict) and isinstance(data.get("parts"), dict) and isinstance(data.get("content"), dict)
        return data if whole else None

    def find(self, kind: Kind, parts: dict[str, Any]) -> Record | None:
        """The record whose key is made of these parts, or None."""
        return self.get(kind, key_of(parts))

    def arrays(self, kind: Kind, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays beside a record (never pickled objects), or None where absent or damaged."""
        content = self._read(self._path(kind, key, "npz"))
        if content is None:
            return None
        try:
            return read_arrays(content)
        except ValueError:
            return None

    def blob(self, kind: Kind, key: str) -> bytes | None:
        """The bytes beside a record, or None where absent or other than what was committed."""
        content = self._read(self._path(kind, key, "bin"))
        data = self._json(kind, key)
        if content is None or data is None:
            return None
        same = data.get("blob") in (None, hashlib.sha256(content).hexdigest())  # None: committed before it was kept
        return content if same else None

    def records(self, kind: Kind) -> Iterator[Record]:
        """Every committed record of a kind, in key order."""
        self.flush()
        for name in self.files.names(kind):
            if name.endswith(".json"):
                record = self.get(kind, name.rsplit("/", 1)[1].removesuffix(".json"))
                if record is not None:
                    yield record

    def set_roots(self, name: str, keys: Iterable[str]) -> None:
        """Say which objects the latest run of a suite uses; ``collect`` keeps them."""
        self.files.write(f"roots/{key_of(name)}.json", json.dumps({"name": name, "keys": sorted(set(keys))}).encode())

    def roots(self) -> set[str]:
        """Every key that some suite's latest run uses; a damaged list, which protects nothing, raises ``UserError``."""
        kept: set[str] = set()
        for name in self.files.names("roots"):
            if not name.endswith(".json"):
                continue  # what a crashed writer left
            try:
                kept.update(str(key) for key in json.loads(self.files.read(name) or b"")["keys"])
            except (ValueError, LookupError, TypeError, RecursionError):
                what = "damaged: what its suite uses is not known"
                raise UserError.at(f"{self.url}/{name}", what, "remove it, then run the suite again") from None
        return kept

    def collect(self, *, younger_than: float, dry_run: bool = False) -> tuple[int, int]:
        """Delete what no suite's latest run uses and what crashed writers left, unless modified after ``younger_than``.

        Answers (files, bytes). ``younger_than`` is in seconds since the epoch: a run in progress keeps its objects.
        """
        self.flush()
        kept = self.roots()
        files = size = 0
        for kind in KINDS:
            for name in self.files.names(kind):
                stem = name.rsplit("/", 1)[1]
                used = stem.split(".")[0] in kept and not stem.endswith(".part")
                if used or self.files.modified(name) > younger_than:
                    continue
                files += 1
                size += self.files.size(name)
                if not dry_run:
                    self.files.delete(name)
        return files, size
