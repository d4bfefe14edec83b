"""Where a variant leaves its reference: every layer's error, and what restoring it alone would remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from bench.data.base import Dataset, Samples
from bench.engine.diff import pair_suite
from bench.engine.intake import take_in
from bench.engine.layer_culprits.channel_maps import ChannelMaps
from bench.engine.layer_culprits.deployed import deploy, parted
from bench.engine.layer_culprits.files import as_onnx, fidelity
from bench.engine.layer_culprits.observing import UNMATCHED, as_json, observe
from bench.engine.layer_culprits.output_damage import OutputDamage
from bench.engine.layer_culprits.ranking import RULE, culprits, ranking
from bench.engine.layer_culprits.restoring import Impossible, Layers, Matching, restore
from bench.engine.layer_culprits.runs import Side, batches
from bench.engine.layer_culprits.taken_back import taken_back
from bench.errors import Problem, UserError
from bench.functional.layer_divergence import Figures
from bench.networks.network import InputSpec, Network
from bench.runtimes.base import IntegerSums
from bench.suite.given_network import GivenNetwork
from bench.suite.given_pair import COMMAND_LINE, UNDECLARED, ArgumentNames, Inputs, given_pair
from bench.suite.suite import Outside

if TYPE_CHECKING:
    from bench.layer_matching import Layer, LayerGraph

LayerProgress = Callable[[int, int, str], None]
NAMES = ("REFERENCE", "VARIANT")


def why_diverged(
    reference: GivenNetwork,
    variant: GivenNetwork,
    x: Any,
    bounds: tuple[float, float] | None = None,
    progress: LayerProgress = lambda done, total, name: None,
    integer_sums: IntegerSums = "native",
    inputs: Inputs = UNDECLARED,
    y: Any = None,
    argument_names: ArgumentNames = COMMAND_LINE,
) -> dict[str, Any]:
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

    Returns:
        What ``diagnose`` returns.

    Raises:
        UserError: whatever is wrong in what was given; no layer of one answers to a layer of the other.
    """
    how: dict[str, Any] = {"integer_sums": integer_sums, "inputs": inputs, "argument_names": argument_names}
    pair = given_pair(reference, variant, x, y, bounds=bounds, **how)
    _, dataset = pair_suite(pair)
    given = pair.reference, pair.variant
    first, second = (_load(item, dataset, where) for item, where in zip(given, NAMES, strict=True))
    return diagnose(first, second, dataset.evaluation, progress, integer_sums)


def _load(outside: Outside, dataset: Dataset, where: str) -> Network:
    declared = InputSpec.from_canonical(dataset.input.canonical() | outside.input)
    return take_in(outside, declared, dataset.evaluation.x, where)


def diagnose(
    reference: Network,
    variant: Network,
    samples: Samples,
    progress: LayerProgress = lambda done, total, name: None,
    integer_sums: IntegerSums = "native",
) -> dict[str, Any]:
    """Rank the layers of two networks by guilt, on samples at hand.

    Returns:
        JSON without NaN: the divergence of the pair as ``deployed`` and what of it the runtime brings in, ``layers`` in
        the reference's order, ``ranking`` (their names, most guilty first), ``culprits`` (those that are shown to do
        damage), the ``rule`` of the ranking, the ``divergence`` of the outputs layer by layer and what of it
        ``rounding`` alone may bring about, the ``fidelity`` of that run to each network as it is, and
        ``only_in_variant``, layers without a counterpart. ``divided_out`` of a layer: what scaling and shifting of its
        channels the variant's next layers take back, which is no layer's fault; ``unclear``: the layer and those that
        read it are off both, so that it cannot be told whether there is such a scaling between them.

    Raises:
        UserError: no layer can be matched, a graph cannot be taken apart, or the reference gives NaN.
    """
    networks = reference, variant
    taken = [_taken_apart(network, where) for network, where in zip(networks, NAMES, strict=True)]
    graphs = [item.graph for item in taken]
    matching = _matched(graphs[0], graphs[1])
    first, second = (Side(item.graph, item.given(samples), where) for item, where in zip(taken, NAMES, strict=True))
    sides = first, second
    parts = batches(sides)
    progress(0, 0, "running both networks")
    layers = Layers(matching, sides)
    maps, unclear = taken_back(layers, parts)
    *raw, seen = observe(matching, sides, parts, maps)
    logits = [item.answers(found) for item, found in zip(taken, raw, strict=True)]
    _check_finite(logits[0])
    damage = OutputDamage(logits[0], logits[1], samples.y)
    pair = deploy(reference, samples, NAMES[0], integer_sums), deploy(variant, samples, NAMES[1], integer_sums)
    _check_finite(pair[0].logits)
    truth = {
        where.lower(): fidelity(network, own.logits, found, where)
        for network, own, found, where in zip(networks, pair, logits, NAMES, strict=True)
    }
    rows = []
    listed = [position for position in range(len(graphs[0].layers)) if _computes(matching, position)]
    for number, position in enumerate(listed):
        row = _row(matching, position, number) | seen[position].figures() | _channels(matching, position, maps, unclear)
        progress(number, len(listed), row["name"])
        rows.append(row | _restored(layers, position, parts, maps, damage, taken[1]))
    alone = [graphs[1].layers[p.variant].name for p in matching.pairs if p.reference is None and p.variant is not None]
    rounding = damage.rounding(pair[0].exact)
    return {
        "samples": len(samples),
        "deployed": parted(damage, pair, samples),
        "divergence": {**damage.divergence(), "rounding": rounding},
        "fidelity": truth,
        "layers": rows,
        "ranking": ranking(rows, rounding),
        "culprits": culprits(rows, rounding),
        "rule": RULE,
        "only_in_variant": alone,
    }


class TakenApart(NamedTuple):
    """A network as layers, its final Softmax cut off where it can be, and what it takes and answers."""

    graph: LayerGraph
    declared: InputSpec
    smallest: float | None  # what a probability of zero counts as
    dtype: Any  # of its input

    def given(self, samples: Samples) -> NDArray[Any]:
        """The samples as the network takes them."""
        from bench.networks.interface import to_network

        return to_network(torch.from_numpy(samples.x), self.declared).numpy().astype(self.dtype)

    def answers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the network put out, as logits of the data's classes."""
        from bench.networks.interface import class_scores, to_logits

        return to_logits(torch.from_numpy(class_scores(outputs)), self.declared, self.smallest).numpy()


def _taken_apart(network: Network, where: str) -> TakenApart:
    from bench.layer_matching import in_qdq_form, read_layers
    from bench.onnx_files.class_scores import scored, smallest_positive

    model, declared = scored(as_onnx(network, where).model, network.input)
    smallest = smallest_positive(model) if declared.output == "probabilities" else None
    try:
        graph = read_layers(in_qdq_form(onnx.load_model_from_string(model)))
    except UserError as error:
        raise UserError([Problem(where, p.what, p.right) for p in error.problems]) from None
    entry = next(value for value in graph.model.graph.input if value.name == graph.input).type.tensor_type
    fixed = entry.shape.dim[0].dim_value if entry.shape.dim else 0
    if fixed > 1:
        raise UserError.at(where, f"the file fixes a batch of {fixed}", "export it with a batch of 1, or an open one")
    alone = graph.dynamic or network.batch_dependent or fixed == 1
    dtype = onnx.helper.tensor_dtype_to_np_dtype(entry.elem_type)
    return TakenApart(replace(graph, dynamic=alone), declared, smallest, dtype)


def _matched(reference: LayerGraph, variant: LayerGraph) -> Matching:
    from bench.layer_matching import align

    matching = Matching(reference, variant, tuple(align(reference.layers, variant.layers)))
    if not any(layer.weighted and position in matching.to_variant for position, layer in enumerate(reference.layers)):
        kinds = [sorted({layer.kind for layer in graph.layers if layer.weighted}) for graph in (reference, variant)]
        first, second = (" and ".join(names) or "no" for names in kinds)
        what = f"no layer can be matched: the reference has {first} layers, the variant {second} layers"
        raise UserError.at("VARIANT", what, "give a variant of the same architecture")
    return matching


def _check_finite(logits: NDArray[np.float64]) -> None:
    broken = int((~np.isfinite(logits).all(axis=1)).sum())
    if broken:
        what = f"its logits are NaN or infinite on {broken} of {len(logits)} samples"
        raise UserError.at("REFERENCE", what, "give a reference that works on the data")


def _counterpart(matching: Matching, position: int) -> Layer | None:
    return matching.variant.layers[matching.to_variant[position]] if position in matching.to_variant else None


def _computes(matching: Matching, position: int) -> bool:
    """Whether a layer computes anything; the input itself does not, unless something rounds or scales it."""
    theirs = _counterpart(matching, position)
    return bool(matching.reference.layers[position].operators or (theirs and theirs.operators))


def _row(matching: Matching, position: int, number: int) -> dict[str, Any]:
    ours, theirs = matching.reference.layers[position], _counterpart(matching, position)
    layers = {"reference": ours, "variant": theirs}
    return {
        "name": ours.name,
        "position": number,
        "kind": ours.kind,
        "variant_name": None if theirs is None else theirs.name,
        "operators": {side: None if layer is None else list(layer.operators) for side, layer in layers.items()},
        "weights": {side: list(layer.shape) if layer and layer.shape else None for side, layer in layers.items()},
    }


def _channels(matching: Matching, position: int, maps: ChannelMaps, unclear: frozenset[str]) -> dict[str, Any]:
    """What of a layer's output the variant's next layers take back, None for nothing; whether that can be told."""
    exits = matching.exits(position) if position in matching.to_variant else {}
    mapped = [maps[name] for name in exits if name in maps]
    figures = {"divided_out": None, "unclear": not unclear.isdisjoint(exits)}
    if not mapped:
        return figures
    last = mapped[-1]
    scales, shifts = ([float(v.min()), float(v.max())] for v in (last.scale, last.shift))
    return {**figures, "divided_out": {"channels": last.moved, "of": len(last.scale), "scale": scales, "shift": shifts}}


def _restored(
    layers: Layers,
    position: int,
    parts: list[slice],
    maps: ChannelMaps,
    damage: OutputDamage,
    variant: TakenApart,
) -> dict[str, Any]:
    try:
        if position not in layers.matching.to_variant:
            raise Impossible(UNMATCHED)
        logits, added = restore(layers, position, parts, maps)
    except Impossible as error:
        return {"added": None, "restored": None, "restored_reason": str(error)}
    own = as_json(added)
    return {
        "added": {name: own[name] for name in (*Figures._fields, "identical")} if added.finite.any() else None,
        "restored": damage.restored(variant.answers(logits)),
        "restored_reason": None,
    }
