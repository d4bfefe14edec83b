"""Attribution of networks that need no gradients: by the scores of inputs of which parts are taken away."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.probes.attribution import Attribution
from bench.probes.base import Context, Observation
from bench.probes.baseline import BaselineOption
from bench.probes.batching import batch_size
from bench.probes.logits import log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor

ENTRIES: Final = 2**22  # numbers of masked inputs at once: 16 MB

Masks: TypeAlias = Callable[[int, slice], NDArray[np.generic]]
"""Masks (count, ...) of a sample, by its number and a slice of masks; 1 keeps what is there, 0 takes it away."""


@parameters
class MaskedAttribution(BaselineOption, Attribution):
    """An attribution by masks, the same for every network: a subclass writes ``maps``.

    A map has the input's size without its channels, which are masked together: (n, 1, height, width), or
    (n, features) of vectors.
    """

    random: ClassVar[bool] = True

    @abstractmethod
    def maps(
        self, scores: Callable[[Masks, int], NDArray[np.float64]], samples: Samples, level: float, seed: int
    ) -> NDArray[np.float64]:
        """Maps (n, ...) without channels; ``scores`` gives those (n, count) of so many masks a sample."""

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """``attribution`` (n, 1, height, width) or (n, features), float64."""
        level = self.level(predictor, f"attribution.{self.name.replace('-', '_')}")
        classes = self.classes(predictor, samples, context)

        def scores(masks: Masks, count: int) -> NDArray[np.float64]:
            return masked_scores(predictor, samples.x, classes, level, masks, count)

        maps = self.maps(scores, samples, level, context.seed)
        return Observation({"attribution": maps if samples.x.ndim == 2 else maps[:, None]})


def places(x: NDArray[np.float32]) -> tuple[int, ...]:
    """The shape of a map: that of samples (n, channels, ...) without channels, or (features,)."""
    return x.shape[1:] if x.ndim == 2 else x.shape[2:]


def masked_scores(
    predictor: Predictor, x: NDArray[np.float32], classes: NDArray[np.int64], level: float, masks: Masks, count: int
) -> NDArray[np.float64]:
    """Centred logits (n, count) of each sample's class, of the sample under each of its masks.

    ``m x + (1 − m) level``. Rows are computed in fixed batches and made some batches at a time, so that neither the
    number of samples nor that of masks changes a score or grows the memory.
    """
    size = batch_size(predictor)
    step = size * max(1, ENTRIES // (size * int(np.prod(x.shape[1:]))))
    found = np.empty(len(x) * count)
    for start in range(0, found.size, step):
        stop = min(start + step, found.size)
        rows = np.empty((stop - start, *x.shape[1:]), dtype=np.float32)
        for sample in range(start // count, -(-stop // count)):
            first, last = max(start, sample * count), min(stop, (sample + 1) * count)
            part = masks(sample, slice(first - sample * count, last - sample * count)).astype(np.float32)
            kept = part if x.ndim == 2 else part[:, None]
            rows[first - start : last - start] = kept * x[sample] + (1 - kept) * np.float32(level)
        asked = classes[np.arange(start, stop) // count]
        found[start:stop] = centred(log_probabilities(predictor, rows), asked)
    return found.reshape(len(x), count)


def centred(log_p: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The centred logit (n,) of each row's class, of log-probabilities (n, classes).

    >>> centred(np.log([[0.5, 0.25, 0.25]]), np.array([0])).round(6).tolist()  # 2/3 log 2
    [0.462098]
    """
    return np.asarray(log_p[np.arange(len(log_p)), classes] - log_p.mean(axis=1))
