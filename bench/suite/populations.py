"""Populations of networks: each reference and yardstick beside the variant that the same chain makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bench.data.base import EVALUATION
from bench.probes.logits import Logits
from bench.runtimes.base import Target
from bench.store.keys import Keyed
from bench.suite.plan import STATISTICS_VERSION, Plan, PlannedObservation
from bench.suite.planned_networks import PlannedNetwork
from bench.suite.planned_variants import plan_on_yardstick
from bench.suite.planner import Planner, executable
from bench.suite.suite import Exemplars, Suite, Variant

NEEDED: Final = 10  # networks a side
VERSION: Final = 1  # rises when the same observations give other exemplars


class Pair(NamedTuple):
    """An uncompressed network and the variant made of it, as they run on a target."""

    reference: PlannedNetwork
    variant: PlannedNetwork


@dataclass(frozen=True, eq=False)
class Population(Keyed):
    """The networks of a section of exemplars, for one variant on one target."""

    section: Exemplars
    variant: str
    target: Target
    pairs: tuple[Pair, ...]
    reference: tuple[PlannedObservation, ...]  # the logits of each
    made: tuple[PlannedObservation, ...]  # of the variant made of it
    count: int  # samples
    too_few: str  # why nothing is measured; empty where there are enough
    parts: dict[str, Any]

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs."""
        return f"{self.variant}/{self.target.name}/exemplars.{self.section.name}"

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that it is derived from."""
        if not self.too_few:
            yield from (*self.reference, *self.made)


def populations(planner: Planner, plan: Plan) -> tuple[Population, ...]:
    """The populations of every section of exemplars, on each target on which its variants run."""
    targets = {(cell.variant, cell.target.name): cell.target for cell in plan.cells}
    return tuple(
        _population(planner, plan, section, variant, target)
        for section in plan.suite.exemplars
        for variant in plan.suite.variants
        for (name, _), target in targets.items()
        if name == variant.name and name in section.variants and target.name in section.targets
    )


def _population(planner: Planner, plan: Plan, section: Exemplars, variant: Variant, target: Target) -> Population:
    suite, splits = plan.suite, planner.splits
    pairs = [(plan.references[index], plan.variants[variant.name, index]) for index in range(suite.replicates)]
    if variant.outside is None and not suite.yardstick.noisy:
        pairs += [
            (node, plan_on_yardstick(suite, variant, node, splits, index)) for index, node in enumerate(plan.yardsticks)
        ]
    distinct: list[Pair] = []
    for pair in pairs:
        running = Pair(*(executable(node, target, splits, planner.exports) or node for node in pair))
        if all(running.reference.key != other.reference.key for other in distinct):
            distinct.append(running)
    samples = planner.fingerprints(EVALUATION)
    count = min(section.samples or samples.size, samples.size)
    asked = [
        tuple(planner.observation(Logits(), node, target, pair.reference, count) for pair, node in side)
        for side in (
            [(pair, pair.reference) for pair in distinct], [(pair, pair.variant) for pair in distinct]
        )
    ]  # fmt: skip
    parts = {
        "statistics": STATISTICS_VERSION,
        "exemplars": VERSION,
        "samples": count,
        "shown": section.shown,
        "seed": suite.seed,
        "labels": samples.labels,
        "reference": [item.key for item in asked[0]],
        "variant": [item.key for item in asked[1]],
    }
    few = _too_few(suite, variant, len(distinct))
    return Population(section, variant.name, target, tuple(distinct), asked[0], asked[1], count, few, parts)


def _too_few(suite: Suite, variant: Variant, found: int) -> str:
    """Why there are too few networks, and what would give more; empty where there are enough."""
    if found >= NEEDED:
        return ""
    what = f"{found} network{'' if found == 1 else 's'} a side, {NEEDED} are needed"
    if variant.outside is not None:
        return f"{what}: the variant comes from outside, and no chain makes another of it"
    if suite.yardstick.noisy:
        what += " (copies with weight noise are not trained anew, and do not count)"
    if suite.reference.outside is not None:
        return f"{what}: the reference comes from outside; give a model with a recipe, which can be trained anew"
    if suite.reference.weights is not None:
        return f"{what}: kept weights are the same in every replicate; give yardstick.retrained = {NEEDED - 1}"
    yardsticks = 0 if suite.yardstick.noisy else suite.yardstick.retrained
    return f"{what}: give replicates = {NEEDED - yardsticks}" + (
        f" beside the {yardsticks} yardsticks" if yardsticks else ""
    )


def warnings(planner: Planner, plan: Plan) -> list[str]:
    """One line for each population that is too small, for ``crbench check``."""
    return [f"warning: {item.label}: skipped: {item.too_few}" for item in populations(planner, plan) if item.too_few]
