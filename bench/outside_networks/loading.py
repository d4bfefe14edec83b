"""Networks that were not made here: an ONNX file, a factory with an optional checkpoint, or one held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UnusableNetwork, UserError
from bench.interrupts import contained
from bench.models.training import reproducible
from bench.networks.function_answers import answer_classes
from bench.networks.interface import check_declared
from bench.networks.materialise import made_weights, materialise
from bench.networks.network import FunctionNetwork, InputSpec, Network, OnnxNetwork, TorchNetwork
from bench.networks.torchscript import copied, refuse_frozen
from bench.networks.weight_hooks import refuse_setters
from bench.onnx_files.probing import probe_answer
from bench.onnx_files.reading import is_quantised, read_onnx
from bench.outside_networks.checkpoint import check_finite, load_checkpoint
from bench.outside_networks.held import Held
from bench.outside_networks.records import factory_record, file_record, held_record
from bench.outside_networks.source import call_factory


def load_outside(
    declared: InputSpec,
    *,
    onnx: Path | None = None,
    factory: str | None = None,
    checkpoint: Path | None = None,
    held: Held | None = None,
    where: str = "",
) -> Network:
    """Load and check a network from outside.

    Args:
        declared: how it takes its input; where ``classes`` is empty they are counted and named 0, 1, 2, ...
        onnx: path of an ONNX file.
        factory: ``module:object``, called without arguments, returns a torch module; or ``timm:NAME``,
            ``torchvision:NAME``, ``huggingface:NAME``, with published weights unless there is a checkpoint.
        checkpoint: safetensors weights for the factory's module.
        held: a network in memory, in place of all three; a module is copied and stays as it is.
        where: what error messages name, such as ``variant[2]``.

    Raises:
        UserError: whatever of it cannot be used, in one line.
    """
    prefix = f"{where}." if where else ""
    check_declared(declared, f"{prefix}input")
    if (onnx is not None) + (factory is not None) + (held is not None) != 1:
        raise UserError.at(where, "not exactly one of onnx and factory", "give one of them")
    if held is not None:
        return _load_held(held, declared, where)
    if onnx is not None:
        if checkpoint is not None:
            raise UserError.at(f"{prefix}checkpoint", "an ONNX file holds its own weights", "leave it out")
        return _load_onnx(Path(onnx), declared, f"{prefix}onnx")
    assert factory is not None
    where_factory = f"{prefix}factory"
    module = call_factory(factory, 0, where_factory, pretrained=checkpoint is None)
    refuse_frozen(module, where_factory)
    made = [] if checkpoint is None else _load(module, Path(checkpoint), f"{prefix}checkpoint")
    return _taken_in(module, declared, where_factory, lambda spec, more: factory_record(factory, spec, [*made, *more]))


def _load_held(held: Held, declared: InputSpec, where: str) -> Network:
    """A network in memory; of a module a copy on the CPU, in evaluation mode."""
    if held.kind == "onnx":
        return _load_onnx(held.content, declared, where)
    if held.kind == "function":
        network = FunctionNetwork(held.content, declared)
        declared = _with_classes(declared, answer_classes(network, where), where)
        return replace(network, input=declared, record=held_record("function", declared))
    try:
        with contained():
            module = copied(held.content).cpu().eval()
    except Exception as error:  # the module's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        right = "give a module that copy.deepcopy copies"
        raise UserError.at(where, f"the module cannot be copied: {reason}", right) from error
    refuse_frozen(module, where)
    return _taken_in(module, declared, where, lambda spec, more: held_record("torch", spec, more))


def _taken_in(
    module: nn.Module,
    declared: InputSpec,
    where_factory: str,
    recorded: Callable[[InputSpec, list[str]], dict[str, Any]],
) -> TorchNetwork:
    """A module whose weights are loaded: made plain, checked, and with the part of its answer that holds the scores."""
    from bench.networks.answers import Part, found_part, with_answer

    def run() -> Any:
        return _answer(module, declared, where_factory)

    made = materialise(module, where_factory, run)
    check_finite(module.state_dict().items(), where_factory)
    part, classes = found_part(run(), 2, declared, where_factory)
    refuse_setters(module, run, where_factory)
    declared = _with_classes(declared, classes, where_factory)
    record = recorded(declared, made)
    if part != Part("whole"):
        record["answer"] = part.canonical()
    return TorchNetwork(with_answer(module, record), declared, record)


def _load(module: nn.Module, checkpoint: Path, where: str) -> list[str]:
    """Load weights into a factory's network, as it computes them or made plain; what was made plain for it."""
    made = made_weights(module)
    try:
        return load_checkpoint(module, checkpoint, where)
    except UserError as error:
        if not made:
            raise
        materialise(module, where)
        try:
            return made + load_checkpoint(module, checkpoint, where)
        except UserError:
            raise error from None


def _load_onnx(source: Path | bytes, declared: InputSpec, where: str) -> OnnxNetwork:
    model = read_onnx(source, declared, where)
    answer = probe_answer(model, declared, where)
    declared = _with_classes(declared, answer.classes, where)
    declared = replace(declared, output_name="" if answer.alone else answer.output)
    quantised = is_quantised(model)
    sha256 = hashlib.sha256(model).hexdigest()
    record = file_record("onnx-quantised" if quantised else "onnx", sha256, declared)
    return OnnxNetwork(model, declared, record, quantised)


def _with_classes(declared: InputSpec, count: int, where: str) -> InputSpec:
    if not declared.classes:
        return replace(declared, classes=tuple(str(index) for index in range(count)))
    if count != len(declared.classes):
        what = f"the network puts out {count} classes, the data has {len(declared.classes)}"
        raise UnusableNetwork.at(where, what, "let network and data agree")
    return declared


def _answer(module: nn.Module, declared: InputSpec, where: str) -> Any:
    """The answer for two empty images."""
    try:
        with contained(), reproducible("probe"), torch.no_grad():
            return module(torch.zeros(2, *declared.network_shape, dtype=getattr(torch, declared.dtype)))
    except Exception as error:  # the network's own code may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        sizes = ", ".join(map(str, declared.network_shape))
        kind = "" if declared.dtype == "float32" else f" of {declared.dtype}"
        what = f"it does not take inputs (2, {sizes}){kind}: {reason}"
        raise UnusableNetwork.at(where, what, "let network and data agree") from error
