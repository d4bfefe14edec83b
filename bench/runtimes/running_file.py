"""The file that a session holds so that its 8-bit sums are what the target asks for, checked node by node."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

from bench.errors import NotApplicable, UserError
from bench.integer_sums.pairs import Sums
from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.integer_sums import native_sums, sums_of_nodes
from bench.runtimes.onnx_session import saved

_checked: dict[tuple[str, str, Sums], str | None] = {}


def running_file(network: OnnxNetwork, target: Target) -> bytes:
    """The user's file, or, where the target asks for exact sums that this machine lacks, one with uint8 weights.

    Only this file is run; what is told of the network is the user's.

    Raises:
        NotApplicable: exact sums are asked for, and a node saturates all the same or cannot be asked; names it.
    """
    if not network.quantised or target.integer_sums != "exact":
        return network.model
    model = network.model if native_sums(target.provider) == "exact" else with_exact_sums(network.model)
    problem = _problem(model, target, "exact")
    if problem is not None:
        raise NotApplicable(f"exact 8-bit sums cannot be had on this processor: {problem}")
    return model


def saturates(network: OnnxNetwork, target: Target) -> bool:
    """Whether a session of this machine sums as x86 without VNNI does, at every node of the network that can."""
    if native_sums(target.provider) != "saturating":
        return False
    return _problem(network.model, target, "saturating") is None


def _problem(model: bytes, target: Target, wanted: Sums) -> str | None:
    """Why a session of a file does not sum as wanted: the first node that is otherwise; None where all are so.

    A file that cannot be loaded is no question of sums: opening it says what is wrong.
    """
    cache_key = (hashlib.sha256(model).hexdigest(), repr(sorted(asdict(target).items())), wanted)
    if cache_key not in _checked:
        _checked[cache_key] = _found(model, target, wanted)
    return _checked[cache_key]


def _found(model: bytes, target: Target, wanted: Sums) -> str | None:
    try:
        graph = saved(model, replace(target, format="onnx"), "ONNX")
    except UserError:
        return None
    for node in sums_of_nodes(graph, target.provider):
        if node.sums is None:
            return f"what node {node.name!r} ({node.operator}) does cannot be told"
        if node.sums != wanted and (wanted == "exact" or node.can_saturate):
            return f"node {node.name!r} ({node.operator}) has {node.sums} sums"
    return None
