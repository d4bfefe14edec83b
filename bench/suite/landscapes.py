"""The plan of a weight landscape: the reference of each replicate, which is looked at as it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.data.base import EVALUATION
from bench.stats.streams import derive_seed
from bench.store.keys import Keyed
from bench.suite.plan import STATISTICS_VERSION, Plan, PlannedObservation
from bench.suite.planned_networks import PlannedNetwork, package_versions
from bench.suite.planner import Planner
from bench.suite.suite import Landscape

VERSION: Final = 1  # rises when the same network and samples give another landscape


@dataclass(frozen=True, eq=False)
class PlannedLandscape(Keyed):
    """One reference and what to look at in its weight space."""

    section: Landscape
    network: PlannedNetwork
    seed: int  # of the reference's training
    replicate: int | None
    count: int  # samples
    parts: dict[str, Any]

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs."""
        return f"landscape.{self.section.name}" + ("" if self.replicate is None else f"#{self.replicate}")

    def every(self) -> Iterator[PlannedObservation]:
        """No observation: networks between the members are made, looked at and forgotten."""
        return iter(())


def landscapes(planner: Planner, plan: Plan) -> tuple[PlannedLandscape, ...]:
    """Every landscape of a suite; kept weights and networks from outside are the same in every replicate."""
    found: list[PlannedLandscape] = []
    for section in plan.suite.landscapes:
        known: set[str] = set()
        for number, network in enumerate(plan.references):
            if network.key not in known:
                known.add(network.key)
                found.append(_landscape(planner, plan, section, network, number))
    return tuple(found)


def _landscape(
    planner: Planner, plan: Plan, section: Landscape, network: PlannedNetwork, number: int
) -> PlannedLandscape:
    samples = planner.fingerprints(EVALUATION)
    count = min(section.samples or samples.size, samples.size)
    seed = derive_seed(plan.suite.seed, "reference", number)
    looked_at = {key: value for key, value in asdict(section).items() if key not in ("name", "samples")}
    parts = {
        "statistics": STATISTICS_VERSION,
        "landscape": VERSION,
        "section": looked_at,
        "samples": count,
        "network": network.parts,
        "seed": seed,
        "train": planner.splits.train,
        "inputs": samples.inputs,
        "labels": samples.labels,
        "packages": package_versions(("torch",)),
    }
    return PlannedLandscape(section, network, seed, number if plan.suite.replicates > 1 else None, count, parts)
