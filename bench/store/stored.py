"""Arrays beside a record, read and checked when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakValueDictionary

from numpy.typing import NDArray

from bench.store.files import Files
from bench.store.notices import Notices
from bench.store.npy import ArrayEntry
from bench.store.spill import SMALL, Region, Whole


class DamagedArrays(Exception):
    """An array that was read by name is not what was committed: its record counts as absent, and is asked again."""

    def __init__(self, key: str, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.key = key


class StoredArrays(Mapping[str, NDArray[Any]]):
    """The arrays of one record by name; read-only, and mapped where they are large.

    The blocks of a file are checked when its array is first read, and again where the file has been replaced. A mapped
    array is held no longer than somebody uses it, so that few files are open at a time.
    """

    def __init__(self, key: str, entries: Mapping[str, tuple[str, ArrayEntry]], files: Files, notices: Notices) -> None:
        """``entries``: by array, the name of its file and what its record says of it."""
        self.key = key
        self._entries = dict(entries)
        self._files = files
        self._notices = notices
        self._small: dict[str, NDArray[Any]] = {}
        self._mapped: WeakValueDictionary[str, NDArray[Any]] = WeakValueDictionary()
        self._checked: dict[str, object] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array.

        Raises:
            KeyError: there is none of that name.
            DamagedArrays: it is not what was committed.
        """
        place, entry = self._entries[name]
        array = self._small.get(name, self._mapped.get(name))
        if array is not None:
            return array
        file = None
        try:
            file = self._open(place, entry)
            if file is None:
                raise ValueError("lost")
            stamp = file.stamp()
            if name not in self._checked or self._checked[name] != stamp:
                entry.check(file)
            array = entry.array(file)
        except (OSError, ValueError, TypeError) as error:
            self._notices.damaged[place] = why = str(getattr(error, "strerror", None) or error)
            raise DamagedArrays(self.key, place, why) from None
        finally:
            if file is not None:
                file.close()
        self._checked[name] = stamp
        if entry.size <= SMALL:
            self._small[name] = array
        else:
            self._mapped[name] = array
        return array

    def _open(self, place: str, entry: ArrayEntry) -> Region | Whole | None:
        if entry.size > SMALL:
            return self._files.region(place)
        content = self._files.read(place)
        return None if content is None else Whole(content)

    def whole(self) -> bool:
        """Whether all of them are what was committed."""
        try:
            for name in self:
                self[name]
        except DamagedArrays:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The arrays' names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """The number of arrays."""
        return len(self._entries)
