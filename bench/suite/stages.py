"""The stages of a variant's chain on one target: pure functions from a plan to what must be observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.integer_sums.pairs import Sums
from bench.runtimes.base import Target, runtimes
from bench.suite.exporting import Exports
from bench.suite.plan import Plan, PlannedCell, PlannedObservation
from bench.suite.planned_networks import PlannedNetwork, Splits, chain
from bench.suite.planner import Planner, executable

REFERENCE, OUTSIDE, EXPORT = "reference", "outside network", "export"
OPTIMISATION, PROCESSOR = "graph optimisation", "processor"
BY_THE_TARGET = frozenset({OPTIMISATION, PROCESSOR})


@dataclass(frozen=True, eq=False)
class Stage:
    """A network on the way from the reference to what runs, and the target on which it is observed."""

    name: str
    network: PlannedNetwork
    target: Target


def plain_target(network: PlannedNetwork, target: Target, targets: Sequence[Target]) -> Target:
    """The target of a stage before the last, so that the target itself adds nothing yet.

    A torch network on torch (the suite's own torch target, whose observations are there already), an ONNX file on ONNX
    Runtime with optimisation disabled and exact 8-bit sums. Targets that no suite declares have a space in their names.
    """
    if network.kind in runtimes.get("torch").kinds:
        known = [item for item in (target, *targets) if item.runtime == "torch"]
        return known[0] if known else Target(name="torch, as it is", threads=target.threads)
    own = target if target.runtime == "onnxruntime" else Target(name="onnxruntime", threads=target.threads)
    name = f"{own.name}, not optimised"
    bare = replace(own, name=name, runtime="onnxruntime", optimisation="disabled", format="onnx")
    return with_exact_sums(own if bare.canonical() == own.canonical() else bare, network)


def with_exact_sums(target: Target, network: PlannedNetwork) -> Target:
    """The target, for a network with 8-bit products one that sums them exactly."""
    if target.integer_sums == "exact" or not network.kind.endswith("-quantised"):
        return target
    return replace(target, name=f"{target.name}, exact sums", integer_sums="exact")


def stages_of(
    original: PlannedNetwork,
    network: PlannedNetwork,
    target: Target,
    targets: Sequence[Target],
    splits: Splits,
    exports: Exports,
    sums: Sums | None = "exact",
) -> tuple[Stage, ...]:
    """The stages from the reference to the target: reference, steps, export, graph optimisation, processor.

    ``export`` is there where the target takes another kind of network than the chain ends in, ``graph optimisation``
    where the target's differs from that of the stage before, ``processor`` where 8-bit products are not summed exactly.
    Equal names are numbered.

    Args:
        original: The reference.
        network: The end of the variant's chain.
        target: Where the variant runs.
        targets: All that the suite declares.
        splits: The data's, for the export.
        exports: How the suite exports what its chains do not.
        sums: How the target sums 8-bit products; None where it does not tell.
    """
    made = list(chain(network))[::-1]
    if made[0].key != original.key:  # a network from outside stands beside the reference
        made = [original, *made]
    words = [REFERENCE, *(OUTSIDE if item.step is None else item.step.name for item in made[1:])]
    stages = [
        Stage(name, item, plain_target(item, target, targets))
        for name, item in zip(_numbered(words), made, strict=True)
    ]
    running = executable(network, target, splits, exports) or network
    if running.key != network.key:
        stages.append(Stage(EXPORT, running, plain_target(running, target, targets)))
    inexact = running.kind.endswith("-quantised") and target.runtime == "onnxruntime" and sums != "exact"
    if stages[-1].target.canonical() != target.canonical():
        stages.append(Stage(OPTIMISATION, running, with_exact_sums(target, running) if inexact else target))
    if inexact:
        stages.append(Stage(PROCESSOR, running, target))
    return tuple(stages)


def stage_cells(planner: Planner, plan: Plan, planned: PlannedCell) -> tuple[tuple[Stage, ...], list[PlannedCell]]:
    """The stages behind a cell, the reference on the cell's target first, and for each the cell that it would be."""
    original = plan.references[planned.replicate]
    network = plan.variants[planned.variant, planned.replicate]
    sums = planner.machine.sums(planned.target)
    stages = stages_of(original, network, planned.target, plan.suite.targets, planner.splits, planner.exports, sums)
    cells = [
        planner.cell(planned.variant, stage.network, stage.target, planned.use, planned.replicate, plan)
        for stage in stages
    ]
    return stages, cells


def observations_of(cells: Sequence[PlannedCell]) -> list[PlannedObservation]:
    """The observations of a waterfall: of the reference everything, of every later stage its own alone."""
    first = cells[0]
    roles = [first.reference, *first.yardsticks, (first.floor,), *(cell.observed for cell in cells)]
    asked = [item for role in roles for draw in role for item in draw]
    return [each for item in asked for each in item.every()]


def networks_of(observation: PlannedObservation) -> Iterator[PlannedNetwork]:
    """Every network that must be there for an observation, back to where the chains began."""
    yield from chain(observation.network)
    yield from chain(observation.opposite)


def staged(plan: Plan) -> frozenset[str]:
    """Names of the variants whose stages are measured too."""
    return frozenset(variant.name for variant in plan.suite.variants if variant.stages)


def _numbered(names: Sequence[str]) -> list[str]:
    """Names told apart: the second of a kind says so; what the engine adds keeps its own name.

    >>> _numbered(["reference", "finetune", "ptq", "finetune", "export"])
    ['reference', 'finetune', 'ptq', 'finetune (2)', 'export (2)']
    """
    seen = Counter({EXPORT: 1, OPTIMISATION: 1, PROCESSOR: 1})
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered
