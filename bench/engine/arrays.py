"""The named arrays that a metric's values are made of: observed, derived, labels, and the reference's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.data.base import EVALUATION, Samples
from bench.engine.observed import Observed
from bench.engine.row_blocks import by_rows
from bench.errors import NotApplicable
from bench.least_recently_used import LeastRecentlyUsed
from bench.metrics.base import Metric
from bench.metrics.values import LABELS, REFERENCE, OfSamples, names, of_samples
from bench.probes.base import Probe
from bench.store.spill import is_mapped

NO_LABELS: Final = "needs labels; the data has none"
THE_REFERENCE: Final = "reference: "
KEPT = 256 * 2**20  # bytes of derived arrays that are kept for other values
MAPPED = 2**22  # what a mapped array counts as, so that few files are open


def no_samples(name: str) -> str:
    """Why a probe cannot be asked on samples that are not there."""
    return f"needs {name} samples; the data has none"


class Memo:
    """Arrays by key, the latest used first; the oldest go where they take too much memory."""

    def __init__(self, limit: int = KEPT) -> None:
        self._arrays = LeastRecentlyUsed[NDArray[Any]](limit, _held)

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of that key, made where it is not there."""
        made = self._arrays.get(key)
        if made is None:
            made = make()
            self._arrays.put(key, made)
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
        sets: Mapping[str, Samples] = MappingProxyType({}),
    ) -> None:
        self.answers = tuple(answers)
        self.samples = samples
        self.memo = memo
        self.reference = self if reference is None else reference
        self._sets = {**sets, EVALUATION: samples}  # the evaluation samples that are looked at, and all of others
        self._home = {name: item for _, item in answers for name in item.arrays}
        self._derived = {item.name: item for item in metric.derived}

    def refusal(self, name: str) -> str:
        """Why an array is not there; empty where nothing that it is made of was refused."""
        if whose := of_samples(name):
            return self._unlabelled(whose)
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
        ordered = sorted(self.answers, key=lambda answer: answer[0].asked_on == EVALUATION)  # these have the last word
        return {name: told for _, item in ordered for name, told in item.notes.items()}

    def _unlabelled(self, whose: OfSamples) -> str:
        """Why there are no labels where labels are asked for; empty where there is what is asked for."""
        known = self._sets.get(whose.samples)
        if known is None or not len(known):
            return no_samples(whose.samples)
        if whose.what != LABELS or known.y is not None:
            return ""
        return NO_LABELS if whose.samples == EVALUATION else f"needs labels; the {whose.samples} samples have none"

    def key(self, name: str) -> Hashable:
        """The key of an array's origin; equal keys, equal arrays."""
        if (whose := of_samples(name)) and whose.samples in self._sets:
            samples = self._sets[whose.samples]
            return (whose.what, samples.labels_fingerprint if whose.what == LABELS else samples.ids_fingerprint)
        if name.startswith(REFERENCE):
            return self.reference.key(name.removeprefix(REFERENCE))
        derived = self._derived.get(name)
        if derived is not None:
            return (derived.function, tuple(self.key(item) for item in names(derived.of)))
        item = self._home.get(name)
        return (None if item is None else item.key, name, len(self.samples))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array; an unknown one raises ``KeyError``, labels that are not there ``NotApplicable``."""
        if whose := of_samples(name):
            if why := self._unlabelled(whose):
                raise NotApplicable(why)
            samples = self._sets[whose.samples]
            return np.asarray(samples.y if whose.what == LABELS else samples.ids)
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
        if isinstance(name, str) and (whose := of_samples(name)):
            return not self._unlabelled(whose)
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
