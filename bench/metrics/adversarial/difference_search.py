"""Natural images on which the networks part: how many samples have one that a search without gradients finds?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.functional.named_quantiles import named_quantiles
from bench.functional.shares import first_column, found_or_apart
from bench.metrics.adversarial.difference import counts, told_ratio, told_share
from bench.metrics.base import Family, Metric, PicturedInputs, SampleLimit, metrics
from bench.metrics.values import Arrays, Change, Derived, Value
from bench.probes.base import Probe
from bench.probes.difference_search import WALKS, DifferenceSearch, DifferenceSearchOptions
from bench.probes.joint_outcomes import CW, WC
from bench.registry import parameters
from bench.stats.proportions import PairedTable, paired_difference


def _parts(found: NDArray[Any], outcomes: NDArray[Any]) -> NDArray[np.uint8]:
    """Where one network alone is right on the sample itself, or an image was found from it on which they part."""
    return found_or_apart(found, outcomes, CW, WC)


@metrics.register("adversarial.difference_search")
@parameters
class DifferenceSearchOfNetworks(DifferenceSearchOptions, Metric):
    """Brightness, contrast, blur, noise, shift, rotation and JPEG until both networks give an image two classes.

    ``parted_rate``: share of all samples of which such an image was found by a search that follows the difference of
    both networks' probabilities (after DFLARE, arXiv 2112.02819); a sample that one of both gets wrong itself is not
    searched and counts as one, a sample that both get wrong as none. In the details the share of those searched, beside
    a random walk with as many queries in the same limits, and queries to the first. By questions alone, on any two
    networks. From below: what was not found may exist.
    """

    samples: SampleLimit = 200

    family: ClassVar[Family] = "adversarial"
    by_default: ClassVar[bool] = False
    starts: ClassVar[str] = "started"
    pictured_inputs: ClassVar[PicturedInputs | None] = PicturedInputs("found_apart", "found_classes", "found")
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("found_apart", first_column, of="parted"),
        Derived("apart", _parts, of=("parted", "clean_outcome")),
    )
    values: ClassVar[tuple[Value, ...]] = (
        Change("parted_rate", None, of="apart", power=1, unit="proportion", count=True, largest=1.0),
    )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Both walks, as one probe."""
        return (DifferenceSearch(**self.parameters()),)

    def protocol(self) -> dict[str, Any]:
        """What is searched, and what counts as a success."""
        return {
            **super().protocol(),
            "success": "the networks as they run give different classes; the search of a sample ends there",
            "fitness": "total variation of both networks' probabilities",
            "control": "a random walk in the same limits with as many queries",
        }

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Of both walks the share found, outcomes and queries; their difference and ratio; strengths of what parts."""
        if "started" not in arrays:
            return {}
        started = arrays["started"].astype(bool)
        told: dict[str, Any] = {"started": int(started.sum()), "clean": counts(arrays["clean_outcome"])}
        if not started.any():
            return told
        found = arrays["parted"][started]
        for number, walk in enumerate(WALKS):
            told[walk] = self._of_walk(arrays, started, number)
        guided, random = (found[:, number].astype(np.float64) for number in (0, 1))
        table = PairedTable.of(random, guided)
        told["guided_less_random"] = {"difference": table.difference, "ci": list(paired_difference(table)[:2])}
        told["guided_over_random"] = told_ratio(guided, random)
        if guided.any():
            told["mean_strength"] = np.abs(arrays["strengths"][started][guided > 0]).mean(axis=0).round(4).tolist()
        return told

    @staticmethod
    def _of_walk(arrays: Arrays, started: NDArray[np.bool_], number: int) -> dict[str, Any]:
        queries = arrays["first_query"][started, number]
        parted = queries > 0
        told: dict[str, Any] = {"found": told_share(parted)}
        if parted.any():
            told["outcomes"] = counts(arrays["outcome"][started, number][parted])
            told["queries"] = named_quantiles(queries[parted], (0.5, 0.95, 1))
        return told
