"""A forecast of 8-bit sums from the weights of a suite's networks, before anything runs."""

from __future__ import annotations

from typing import Any

from bench.engine.networks import NetworkFailure, Networks
from bench.engine.planning import PlannedSuite
from bench.errors import NotApplicable, UserError
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.store.store import Store
from bench.suite.plan import other_sums
from bench.suite.planned_networks import PlannedNetwork
from bench.wording import plain
from bench.wording_of_sums import caveat


def sums_forecast(planned: PlannedSuite, store: Store) -> list[str]:
    """One line for each variant and target on which an ONNX file is another function on other processors.

    Files from outside are read, networks that steps make are looked up in the store; those that are not made yet are
    named.
    """
    plan, here = planned.plan, planned.planner.machine
    networks = Networks(store, planned.dataset, lambda message: None)
    quantised: dict[tuple[str, str], tuple[PlannedNetwork, Target]] = {}
    for cell in plan.cells:
        node = cell.network
        if cell.target.runtime == "onnxruntime" and node.kind.endswith("-quantised"):
            quantised.setdefault((cell.variant, cell.target.name), (node, cell.target))
    lines, unknown = [], []
    for (variant, name), (node, target) in quantised.items():
        if node.outside is None and not networks.stored(node):
            unknown.append(variant)
            continue
        told = {"kind": here.sums(target), "asked": target.integer_sums, "layers": _layers(networks, node, target)}
        more = caveat(told, other_sums(plan, here, variant, name))
        if more:
            lines.append(f"8-bit sums: {plain(variant)} ({plain(name)}): {more}")
    if unknown:
        names = ", ".join(map(plain, dict.fromkeys(unknown)))
        lines.append(f"8-bit sums: not known before the networks are made: {names}")
    return lines


def _layers(networks: Networks, node: PlannedNetwork, target: Target) -> list[dict[str, Any]]:
    """The layers of a network that can saturate; none where it cannot be opened, which its cells will say."""
    from bench.runtimes.saturation import layers_that_can_saturate

    try:
        network = networks.get(node)
        return layers_that_can_saturate(network, target) if isinstance(network, OnnxNetwork) else []
    except (NetworkFailure, NotApplicable, UserError):
        return []
