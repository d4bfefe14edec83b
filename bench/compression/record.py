"""Running steps, and restoring what they made from record and weights alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.compression.base import Step, StepContext, steps
from bench.errors import UserError
from bench.networks.network import FunctionNetwork, InputSpec, Network, OnnxNetwork, TorchNetwork, with_record
from bench.networks.tied_weights import contradictions
from bench.networks.torchscript import refuse_torchscript
from bench.outside_networks.checkpoint import make_lazy_parameters
from bench.outside_networks.source import build_source, source_record

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["check_chain", "rebuild_structure", "restore", "run_step", "source_of", "source_record", "to_bytes"]


def check_chain(kind: str, chain: Sequence[Step], where: str = "") -> str:
    """The kind of network that comes out of a chain of steps; nothing runs.

    Raises:
        UserError: a step cannot take what the one before it makes; says which and why.

    >>> from bench.compression.base import steps
    >>> check_chain("torch", [steps.get("bn-fold")()])
    'torch'
    """
    maker = ""
    for index, step in enumerate(chain):
        place = f"{where}.steps[{index}]" if where else f"steps[{index}]"
        _accept(step, kind, maker, place)
        after = step.produces(kind)
        maker = step.name if after != kind or not maker else maker
        kind = after
    return kind


def _accept(step: Step, kind: str, maker: str, place: str) -> None:
    if kind in step.consumes:
        return
    source = maker or f"{'an' if kind.startswith('o') else 'a'} {kind} network"
    wanted = " or ".join(sorted(step.consumes))
    reason = step.refusal.get(kind, f"it takes a network of kind {wanted}, not {kind}")
    raise UserError.at(place, f"{step.name} cannot follow {source}: {reason}")


def run_step(step: Step, network: Network, context: StepContext) -> Network:
    """Apply a step; the result carries the whole history back to its source.

    Raises:
        UserError: the step does not take this kind of network.
    """
    _accept(step, network.kind, network.record.get("step", ""), step.name)
    if not step.takes_torchscript and isinstance(network, TorchNetwork):
        refuse_torchscript(network.module, step.name)
    made, record = step.apply(network, context)
    if isinstance(made, TorchNetwork):
        made.module.eval()
    nested = {**step.canonical(), "record": record, "kind": made.kind, "of": network.record}
    return with_record(made, json.loads(json.dumps(nested, allow_nan=False)))


def to_bytes(network: Network) -> bytes:
    """A network's weights: a safetensors file of the state dict, or the ONNX file itself.

    Raises:
        UserError: the state dict holds something other than tensors, or it is a function.
    """
    if isinstance(network, OnnxNetwork):
        return network.model
    if isinstance(network, FunctionNetwork):
        raise UserError.at("network", "a function has no weights", "give a torch module or an ONNX file")
    from safetensors.torch import save

    state: dict[str, torch.Tensor] = {}
    for name, value in network.module.state_dict().items():
        if not hasattr(value, "detach"):
            what = f"state entry {name!r} is {type(value).__name__}"
            raise UserError.at("network", what, "keep the whole state in tensors")
        state[name] = value.detach().cpu().contiguous().clone()  # tied tensors are stored twice
    return save(state)


def restore(record: dict[str, Any], weights: bytes) -> Network:
    """The network of a record and its weights, without data.

    Replays each step's change of structure from the source on, then loads the weights strictly.

    Raises:
        UserError: a step has another version by now, or the weights do not fit the structure.
    """
    declared = InputSpec.from_canonical(source_of(record)["input"])
    kind = record["kind"]
    if kind.startswith("onnx"):
        return OnnxNetwork(weights, declared, record, quantised=kind == "onnx-quantised")
    from safetensors.torch import load

    network = rebuild_structure(record)
    state = load(weights)
    make_lazy_parameters(network.module, state)
    _check_state(network.module.state_dict(), state)
    _untie(network.module, state)
    network.module.load_state_dict(state, strict=True)
    network.module.eval()
    return TorchNetwork(network.module, declared, record, quantised=kind == "torch-quantised")


def rebuild_structure(record: dict[str, Any], seed: int = 0) -> TorchNetwork:
    """The structure of a torch record with the weights a fresh initialisation by ``seed`` gives it.

    Raises:
        UserError: a step has another version by now.
    """
    if "source" in record:
        declared = InputSpec.from_canonical(record["input"])
        return TorchNetwork(build_source(record, seed), declared, record)
    network = rebuild_structure(record["of"], seed)
    step = steps.get(record["step"])
    if record["version"] != step.version:
        what = f"made by version {record['version']} of {record['step']}, this is version {step.version}"
        raise UserError.at("record", what, "make the network again")
    rebuilt = step(**record["parameters"]).rebuild(network, record["record"])
    assert isinstance(rebuilt, TorchNetwork)
    return TorchNetwork(rebuilt.module, rebuilt.input, record, rebuilt.quantised)


def source_of(record: dict[str, Any]) -> dict[str, Any]:
    """The innermost record: where the history begins."""
    while "source" not in record:
        record = record["of"]
    return record


def _untie(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give tensors of their own to names that share one in the structure and differ in the file, in place.

    Two layers that share a weight under different masks are such.
    """
    from torch import nn

    for name in contradictions(module, state):
        path, _, tensor = name.rpartition(".")
        setattr(module.get_submodule(path), tensor, nn.Parameter(state[name].clone()))


def _check_state(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    """Strict in names, shapes and types: ``load_state_dict`` alone would cast silently."""
    if set(expected) != set(found):
        odd = sorted(set(expected) ^ set(found))
        raise UserError.at("weights", f"they do not fit the record: {', '.join(odd[:3])}", "make the network again")
    for name, value in expected.items():
        other = found[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            what = f"{name} is {tuple(other.shape)} {other.dtype}, the record needs {tuple(value.shape)} {value.dtype}"
            raise UserError.at("weights", what, "make the network again")
