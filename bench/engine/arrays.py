"""The named arrays that a metric's values are made of: observed, derived, labels, and the reference's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.observed import Observed
from bench.engine.row_blocks import by_rows
from bench.errors import NotApplicable
from bench.metrics.base import Metric
from bench.metrics.values import IDS, LABELS, REFERENCE, names
from bench.probes.base import Probe
from bench.store.spill import is_mapped

NO_LABELS: Final = "needs labels; the data has none"
THE_REFERENCE: Final = "reference: "
KEPT = 256 * 2**20  # bytes of derived arrays that are kept for other values
MAPPED = 2**22  # what a mapped array counts as, so that few files are open


class Memo:
    """Arrays by key, the latest used first; the oldest go where they take too much memory."""

    def __init__(self, limit: int = KEPT) -> None:
        self.limit = limit
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of that key, made where it is not there."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        made = make()
        self._arrays[key] = made
        self._size += _held(made)
        while self._size > self.limit and len(self._arrays) > 1:
            _, gone = self._arrays.popitem(last=False)
            self._size -= _held(gone)
        return made


def _held(array: NDArray[Any]) -> int:
    """Bytes of memory that an array takes; what is mapped takes an open file all the same."""
    return MAPPED if is_mapped(array) else array.nbytes


class NetworkArrays(Mapping[str, NDArray[Any]]):
    """One network's answers to a metric's probes, by name, with what is derived of them.

    Every array has a key of its content's origin, by which derived arrays and statistics are reused.
    """

    def __init__(
        self,
        metric: Metric,
        answers: Sequence[tuple[Probe, Observed]],
        samples: Samples,
        memo: Memo,
        reference: NetworkArrays | None = None,
    ) -> None:
        self.answers = tuple(answers)
        self.samples = samples
        self.memo = memo
        self.reference = self if reference is None else reference
        self._home = {name: item for _, item in answers for name in item.arrays}
        self._derived = {item.name: item for item in metric.derived}

    def refusal(self, name: str) -> str:
        """Why an array is not there; empty where nothing that it is made of was refused."""
        if name == LABELS and self.samples.y is None:
            return NO_LABELS
        if name.startswith(REFERENCE):
            why = self.reference.refusal(name.removeprefix(REFERENCE))
            return f"{THE_REFERENCE}{why}" if why and not why.startswith(THE_REFERENCE) else why
        derived = self._derived.get(name)
        if derived is not None:
            return next((why for item in names(derived.of) if (why := self.refusal(item))), "")
        for probe, item in self.answers:
            if item.status == "skipped" and name in probe.arrays:
                return item.reason
        return ""

    @property
    def refused(self) -> str:
        """Why the network has no figures at all; empty where it has some."""
        reasons = [item.reason for _, item in self.answers if item.status == "skipped"]
        return reasons[0] if reasons and len(reasons) == len(self.answers) else ""

    @property
    def notes(self) -> dict[str, Any]:
        """The notes of all probes."""
        return {name: told for _, item in self.answers for name, told in item.notes.items()}

    def key(self, name: str) -> Hashable:
        """The key of an array's origin; equal keys, equal arrays."""
        if name in (LABELS, IDS):
            return (name, self.samples.labels_fingerprint if name == LABELS else self.samples.ids_fingerprint)
        if name.startswith(REFERENCE):
            return self.reference.key(name.removeprefix(REFERENCE))
        derived = self._derived.get(name)
        if derived is not None:
            return (derived.function, tuple(self.key(item) for item in names(derived.of)))
        item = self._home.get(name)
        return (None if item is None else item.key, name, len(self.samples))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array; an unknown one raises ``KeyError``, labels that are not there ``NotApplicable``."""
        if name == LABELS:
            if self.samples.y is None:
                raise NotApplicable(NO_LABELS)
            return self.samples.y
        if name == IDS:
            return np.asarray(self.samples.ids)
        if name.startswith(REFERENCE):
            return self.reference[name.removeprefix(REFERENCE)]
        derived = self._derived.get(name)
        if derived is None:
            return self._home[name].arrays[name]
        of = [self[item] for item in names(derived.of)]
        if derived.rows:
            return self.memo.get(self.key(name), lambda: by_rows(derived.function, of))
        return self.memo.get(self.key(name), lambda: np.asarray(derived.function(*of)))

    def __contains__(self, name: object) -> bool:
        """Whether there is such an array."""
        if name in (LABELS, IDS):
            return name == IDS or self.samples.y is not None
        if isinstance(name, str) and name.startswith(REFERENCE):
            return name.removeprefix(REFERENCE) in self.reference
        derived = self._derived.get(name) if isinstance(name, str) else None
        return name in self._home if derived is None else all(item in self for item in names(derived.of))

    def __iter__(self) -> Iterator[str]:
        """The names of observed and derived arrays."""
        return iter([*self._home, *self._derived])

    def __len__(self) -> int:
        """The number of arrays."""
        return len(self._home) + len(self._derived)
