"""Restoring networks from their record and weights alone."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from bench.compression.base import steps
from bench.errors import UserError
from bench.networks.network import FunctionNetwork, InputSpec, Network, OnnxNetwork, TorchNetwork
from bench.networks.tied_weights import contradictions
from bench.outside_networks.checkpoint import make_lazy_parameters
from bench.outside_networks.source import build_source


def to_bytes(network: Network) -> bytes:
    """A network's weights: a safetensors file of the state dict, or the ONNX file itself.

    Raises:
        UserError: the state dict holds something other than tensors, or it is a function.
    """
    if isinstance(network, OnnxNetwork):
        return network.model
    if isinstance(network, FunctionNetwork):
        raise UserError.at("network", "a function has no weights", "give a torch module or an ONNX file")

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
    declared = declared_of(record)
    kind = record["kind"]
    if kind.startswith("onnx"):
        return OnnxNetwork(weights, declared, record, quantised=kind == "onnx-quantised")

    network = rebuild_structure(record)
    state = load(weights)
    make_lazy_parameters(network.module, state)
    _check_state(network.module.state_dict(), state)
    _untie(network.module, state)
    network.module.load_state_dict(state, strict=True)
    network.module.eval()
    return TorchNetwork(network.module, declared, record, quantised=kind == "torch-quantised")


def declared_of(record: dict[str, Any]) -> InputSpec:
    """How the network of a record takes its input and answers: as its source, but for a step that said otherwise."""
    if "source" in record:
        return InputSpec.from_canonical(record["input"])
    changed = record["record"].get("answers") if isinstance(record.get("record"), dict) else None
    return declared_of(record["of"]) if changed is None else InputSpec.from_canonical(changed)


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


def _untie(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give tensors of their own to names that share one in the structure and differ in the file, in place.

    Two layers that share a weight under different masks are such.
    """
    for name in contradictions(module, state):
        path, _, tensor = name.rpartition(".")
        setattr(module.get_submodule(path), tensor, nn.Parameter(state[name].clone()))


def _check_state(expected: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> None:
    """Strict in names, shapes and types: ``load_state_dict`` alone would cast silently."""
    if set(expected) != set(given):
        odd = sorted(set(expected) ^ set(given))
        raise UserError.at("weights", f"they do not fit the record: {', '.join(odd[:3])}", "make the network again")
    for name, value in expected.items():
        other = given[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            what = f"{name} is {tuple(other.shape)} {other.dtype}, the record needs {tuple(value.shape)} {value.dtype}"
            raise UserError.at("weights", what, "make the network again")
