"""The layers at which a variant leaves its reference: each one's error, and what restoring it alone would remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.diff import pair_suite
from bench.engine.intake import take_in_beside
from bench.engine.layer_culprits.deployed import deploy, deployed_divergence
from bench.engine.layer_culprits.files import fidelity
from bench.engine.layer_culprits.layer_results import compared_layers, layer_result, restoring_of
from bench.engine.layer_culprits.observing import observe
from bench.engine.layer_culprits.output_damage import OutputDamage
from bench.engine.layer_culprits.ranking import RULE, culprits, ranking
from bench.engine.layer_culprits.restoring import Layers, Matching
from bench.engine.layer_culprits.runs import Side, batches
from bench.engine.layer_culprits.taken_apart import taken_apart
from bench.engine.layer_culprits.taken_back import taken_back
from bench.errors import UserError
from bench.networks.network import Network
from bench.results.layers import BothFidelities, Divergence, LayerReport
from bench.runtimes.base import IntegerSums
from bench.suite.given_network import GivenNetwork
from bench.suite.given_pair import PYTHON, UNDECLARED, ArgumentNames, Inputs, given_pair

if TYPE_CHECKING:
    from bench.layer_matching import LayerGraph

LayerProgress = Callable[[int, int, str], None]


def why_diverged(
    reference: GivenNetwork,
    variant: GivenNetwork,
    x: Any,
    bounds: tuple[float, float] | None = None,
    progress: LayerProgress = lambda done, total, name: None,
    integer_sums: IntegerSums = "native",
    inputs: Inputs = UNDECLARED,
    y: Any = None,
    argument_names: ArgumentNames = PYTHON,
) -> LayerReport:
    """Rank the layers of a pair by guilt.

    Args:
        reference: a network, as ``bench.network`` takes it; a function has no layers.
        variant: another one.
        x: samples (n, ...), or an ``.npz`` with ``x`` and, if known, ``y``.
        bounds: the range of ``x``; by default (0, 1) if ``x`` lies in it.
        progress: called with the layers done, their number, and the name of the one at work.
        integer_sums: how ONNX Runtime sums 8-bit products where the networks are deployed.
        inputs: how the networks take their input.
        y: labels (n,), if known.
        argument_names: what errors call what was given.

    Raises:
        UserError: whatever is wrong in what was given; no layer of one answers to a layer of the other.
    """
    how: dict[str, Any] = {"integer_sums": integer_sums, "inputs": inputs, "argument_names": argument_names}
    pair = given_pair(reference, variant, x, y, bounds=bounds, **how)
    _, dataset = pair_suite(pair)
    given = pair.reference, pair.variant
    names = argument_names.reference, argument_names.variant
    first, second = (take_in_beside(dataset, item, where) for item, where in zip(given, names, strict=True))
    return diagnose(first, second, dataset.evaluation, progress, integer_sums, argument_names)


def diagnose(
    reference: Network,
    variant: Network,
    samples: Samples,
    progress: LayerProgress = lambda done, total, name: None,
    integer_sums: IntegerSums = "native",
    argument_names: ArgumentNames = PYTHON,
) -> LayerReport:
    """Rank the layers of two networks by guilt, on samples at hand.

    Args:
        reference: a network.
        variant: another one of the same architecture.
        samples: what both are shown.
        progress: called with the layers done, their number, and the name of the one at work.
        integer_sums: how ONNX Runtime sums 8-bit products where the networks are deployed.
        argument_names: what errors call what was given.

    Raises:
        UserError: no layer can be matched, a graph cannot be taken apart, or the reference gives NaN.
    """
    networks, names = (reference, variant), (argument_names.reference, argument_names.variant)
    taken = [taken_apart(network, where) for network, where in zip(networks, names, strict=True)]
    matching = _matched(taken[0].graph, taken[1].graph, names[1])
    first, second = (Side(item.graph, item.given(samples), where) for item, where in zip(taken, names, strict=True))
    sides = first, second
    parts = batches(sides)
    progress(0, 0, "running both networks")
    layers = Layers(matching, sides)
    back = taken_back(layers, parts)
    *raw, observed = observe(matching, sides, parts, back.maps)
    logits = [item.answers(outputs) for item, outputs in zip(taken, raw, strict=True)]
    _check_finite(logits[0], names[0])
    damage = OutputDamage(logits[0], logits[1], samples.y)
    asked = integer_sums, argument_names.integer_sums
    pair = deploy(reference, samples, names[0], *asked), deploy(variant, samples, names[1], *asked)
    _check_finite(pair[0].logits, names[0])
    truth = [
        fidelity(network, own.logits, by_layers, where)
        for network, own, by_layers, where in zip(networks, pair, logits, names, strict=True)
    ]
    rows = []
    compared = compared_layers(matching)
    for number, position in enumerate(compared):
        progress(number, len(compared), matching.reference.layers[position].name)
        restoring = restoring_of(layers, position, parts, back.maps, damage, taken[1])
        rows.append(layer_result(matching, position, number, observed[position], back, restoring))
    rounding = damage.rounding(pair[0].exact)
    own_layers = [p.variant for p in matching.pairs if p.reference is None and p.variant is not None]
    return LayerReport(
        samples=len(samples),
        deployed=deployed_divergence(damage, pair, samples),
        divergence=Divergence(**damage.divergence()._asdict(), rounding=rounding),
        fidelity=BothFidelities(reference=truth[0], variant=truth[1]),
        layers=rows,
        ranking=ranking(rows, rounding),
        culprits=culprits(rows, rounding),
        rule=RULE,
        only_in_variant=[matching.variant.layers[position].name for position in own_layers],
    )


def _matched(reference: LayerGraph, variant: LayerGraph, where: str) -> Matching:
    from bench.layer_matching import align

    matching = Matching(reference, variant, tuple(align(reference.layers, variant.layers)))
    if not any(layer.weighted and position in matching.to_variant for position, layer in enumerate(reference.layers)):
        kinds = [sorted({layer.kind for layer in graph.layers if layer.weighted}) for graph in (reference, variant)]
        first, second = (" and ".join(names) or "no" for names in kinds)
        what = f"no layer can be matched: the reference has {first} layers, the variant {second} layers"
        raise UserError.at(where, what, "give a variant of the same architecture")
    return matching


def _check_finite(logits: NDArray[np.float64], where: str) -> None:
    broken = int((~np.isfinite(logits).all(axis=1)).sum())
    if broken:
        what = f"its logits are NaN or infinite on {broken} of {len(logits)} samples"
        raise UserError.at(where, what, "give a reference that works on the data")
