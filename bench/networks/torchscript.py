"""TorchScript: networks that run and differentiate, and that cannot be taken apart."""

from __future__ import annotations

import copy

import torch
from torch import nn

from bench.errors import UserError

REMEDY = "let the factory return the torch module that the TorchScript was made of, or put onnx-export first and use "
REMEDY += "the steps for ONNX files, such as ort-static-quant"


def script_layer(module: nn.Module) -> str | None:
    """The name of the first layer that is TorchScript; empty for the network itself, None where there is none.

    >>> from torch import nn
    >>> script_layer(nn.Linear(2, 2)) is None
    True
    """
    return next((name for name, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)), None)


def refuse_torchscript(module: nn.Module, step: str) -> None:
    """Raise ``UserError`` where a layer is TorchScript, with the layer and what to do."""
    name = script_layer(module)
    if name is not None:
        owner = f"layer {name!r}" if name else "the network"
        raise UserError.at(step, f"{owner} is TorchScript, which {step} cannot take apart or train", REMEDY)


def refuse_frozen(module: nn.Module, where: str) -> None:
    """Raise ``UserError`` for TorchScript whose weights are constants: they can be neither counted nor stored.

    That is TorchScript with a matrix or a kernel among its constants and no parameters, or a network without any.
    """
    for name, part in module.named_modules():
        if not isinstance(part, torch.jit.ScriptModule) or list(part.parameters()):
            continue
        if not list(module.parameters()) or _holds_matrix(part):
            owner = f"layer {name!r}" if name else "the network"
            what = f"{owner} is TorchScript without parameters: freezing or quantising made constants of its weights, "
            what += "which can be neither counted nor stored"
            raise UserError.at(where, what, "return the module before torch.jit.freeze, or give an ONNX file")


def _holds_matrix(part: torch.jit.ScriptModule) -> bool:
    """Whether a constant of its code has two axes or more that are longer than 1."""
    constants = part.graph.findAllNodes("prim::Constant")  # type: ignore[attr-defined]
    tensors = [node.t("value") for node in constants if node.hasAttribute("value") and node.kindOf("value") == "t"]
    return any(sum(size > 1 for size in tensor.shape) > 1 for tensor in tensors)


def copied(module: nn.Module) -> nn.Module:
    """A copy; where autograd looks on, a copy of TorchScript has parameters that are no leaves."""
    with torch.no_grad():
        return copy.deepcopy(module)


def exportable(module: nn.Module, example: torch.Tensor) -> nn.Module:
    """The module as torch's tracing exporter takes it: TorchScript within a module of Python is traced with it."""
    if script_layer(module) in (None, ""):
        return module
    with torch.no_grad():
        traced: nn.Module = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    return traced
