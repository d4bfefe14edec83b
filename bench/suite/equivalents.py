"""The plan of deep-ensemble equivalents: a pool of single networks, beside the networks that are compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from bench.data.base import EVALUATION
from bench.probes.artefact import Artefact
from bench.probes.logits import Logits
from bench.runtimes.base import Target
from bench.stats.streams import derive_seed
from bench.store.keys import Keyed
from bench.suite.plan import STATISTICS_VERSION, Plan, PlannedCell, PlannedObservation
from bench.suite.planned_networks import PlannedNetwork, Splits, plan_trained, plan_weights
from bench.suite.planner import Planner, executable
from bench.suite.suite import Equivalents, Suite

VERSION: Final = 1  # rises when the same observations give other equivalents


Role: TypeAlias = Literal["reference", "variant"]


class Compared(NamedTuple):
    """A network that is compared with the pool, as it runs on a target."""

    role: Role
    name: str
    target: Target
    replicate: int
    logits: PlannedObservation
    artefact: PlannedObservation


@dataclass(frozen=True, eq=False)
class PlannedEquivalents(Keyed):
    """The observations of one section."""

    section: Equivalents
    pool: tuple[PlannedObservation, ...]  # logits of single networks
    compared: tuple[Compared, ...]
    count: int  # samples
    seed: int
    parts: dict[str, Any]

    @property
    def label(self) -> str:
        """Readable and unique in a run, for globs."""
        return f"equivalent.{self.section.name}"

    def every(self) -> Iterator[PlannedObservation]:
        """Every observation that it is derived from."""
        yield from self.pool
        for item in self.compared:
            yield item.logits
            yield item.artefact


def equivalents(planner: Planner, plan: Plan) -> tuple[PlannedEquivalents, ...]:
    """Every section of deep-ensemble equivalents of a suite."""
    return tuple(_equivalents(planner, plan, section) for section in plan.suite.equivalents)


def plan_pool(suite: Suite, section: Equivalents, splits: Splits) -> tuple[PlannedNetwork, ...]:
    """Single networks of the reference's model and recipe; their seeds are no other network's."""
    model, recipe = suite.reference.model, suite.reference.recipe
    assert model is not None
    assert recipe is not None
    if section.weights is not None:
        files = [section.weights / pool_file(index) for index in range(section.networks)]
        return tuple(plan_weights(model, recipe, file, splits, where="equivalent.weights") for file in files)
    seeds = [derive_seed(suite.seed, "pool", index) for index in range(section.networks)]
    return tuple(plan_trained(model, recipe, seed, splits) for seed in seeds)


def pool_file(index: int) -> str:
    """The name of a kept network of a pool.

    >>> pool_file(0)
    'network-1.safetensors'
    """
    return f"network-{index + 1}.safetensors"


def _compared(planner: Planner, plan: Plan, section: Equivalents, count: int) -> Iterator[Compared]:
    """The reference on every target that is meant, then the variants on theirs, of each replicate."""
    seen = set()
    chosen = [cell for cell in plan.cells if cell.variant in section.variants and cell.target.name in section.targets]
    sides: list[tuple[Role, str, PlannedNetwork, PlannedCell]] = [
        *(("reference", "reference", cell.original, cell) for cell in chosen),
        *(("variant", cell.variant, cell.network, cell) for cell in chosen),
    ]
    for role, name, network, cell in sides:
        place = (role, name, cell.target.name, cell.replicate)
        if place not in seen:
            seen.add(place)
            logits, artefact = (
                planner.observation(probe, network, cell.target, cell.original, count)
                for probe in (Logits(), Artefact())
            )
            yield Compared(role, name, cell.target, cell.replicate, logits, artefact)


def _equivalents(planner: Planner, plan: Plan, section: Equivalents) -> PlannedEquivalents:
    samples = planner.fingerprints(EVALUATION)
    count = min(section.samples or samples.size, samples.size)
    compared = tuple(_compared(planner, plan, section, count))
    pool: tuple[PlannedObservation, ...] = ()
    if compared:
        target = compared[0].target
        networks = plan_pool(plan.suite, section, planner.splits)
        running = [executable(node, target, planner.splits, planner.exports) or node for node in networks]
        pool = tuple(planner.observation(Logits(), node, target, node, count) for node in running)
    parts = {
        "statistics": STATISTICS_VERSION,
        "equivalents": VERSION,
        "samples": count,
        "seed": plan.suite.seed,
        "labels": samples.labels,
        "ids": samples.ids,
        "pool": [item.key for item in pool],
        "compared": [
            [item.role, item.name, item.target.name, item.replicate, item.logits.key, item.artefact.key]
            for item in compared
        ],
    }
    return PlannedEquivalents(section, pool, compared, count, plan.suite.seed, parts)
