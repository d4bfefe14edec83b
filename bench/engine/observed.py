"""A network's answer to a probe, as the engine holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray


class FirstRows(Mapping[str, NDArray[Any]]):
    """The first rows of arrays, each read when it is asked for."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], count: int) -> None:
        self._arrays = arrays
        self._count = count

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array's first rows."""
        return self._arrays[name][: self._count]

    def __iter__(self) -> Iterator[str]:
        """The arrays' names."""
        return iter(self._arrays)

    def __len__(self) -> int:
        """The number of arrays."""
        return len(self._arrays)


@dataclass(frozen=True, eq=False)
class Observed:
    """A network's answer to a probe, or why there is none."""

    key: str
    arrays: Mapping[str, NDArray[Any]]
    seconds: float
    status: Literal["ok", "skipped"] = "ok"
    reason: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None  # samples that were asked, where each row stands alone

    def first(self, count: int) -> Observed:
        """The answer on the first samples."""
        if self.rows is None or self.rows <= count or self.status == "skipped":
            return self
        return Observed(
            self.key, FirstRows(self.arrays, count), self.seconds, self.status, self.reason, self.notes, count
        )

    def covers(self, count: int) -> bool:
        """Whether it is the answer on so many samples."""
        return covers(self.status, self.rows, count)


def covers(status: str, rows: int | None, count: int) -> bool:
    """Whether an answer on ``rows`` samples serves for ``count``; a refusal may hold for its own number alone."""
    if status == "skipped":
        return rows in (None, count)
    return rows is None or rows >= count
