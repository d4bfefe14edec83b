"""Different or worse? Whether a network's attributions still say what it does."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.metrics.attribution.maps import MapMetric
from bench.metrics.base import metrics
from bench.metrics.values import Mean, Value
from bench.probes.base import Probe
from bench.probes.faithfulness import Faithfulness as FaithfulnessProbe
from bench.probes.faithfulness import FaithfulnessOptions
from bench.registry import parameters


@metrics.register("attribution.faithfulness")
@parameters
class Faithfulness(FaithfulnessOptions, MapMetric):
    """Integrated gradients held against the network that they explain: maps may change and be as true as before.

    ``deletion``: mean probability of the class while pixels are put to the baseline, largest attribution first, 0 to 1.
    ``insertion``: the same while they are put back (both: Petsiuk et al. 2018, arXiv 1806.07421). ``infidelity``: what
    random replacements do to the logit and the map does not foresee, relative to a map of zeros, 0 or more (Yeh et al.
    2019, arXiv 1901.09392). A network that is less sure of its class has a lower insertion, and a lower deletion.
    """

    probe: ClassVar[type[Probe]] = FaithfulnessProbe
    told: ClassVar[dict[str, Any]] = {"attribution": "integrated gradients"}
    values: ClassVar[tuple[Value, ...]] = (
        Mean("deletion", of="deletion", better="lower", unit="probability", largest=1.0),
        Mean("insertion", of="insertion", better="higher", unit="probability", largest=1.0),
        Mean("infidelity", of="infidelity", better="lower"),
    )
