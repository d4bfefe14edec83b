"""Bytes, parameters, bits and multiply-accumulates of a torch module."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.networks.attention import plain_attention
from bench.networks.tied_weights import shared_names
from bench.networks.torchscript import copied


class Bits(NamedTuple):
    """Bits a weight, averaged over weights: as stored, and as the arithmetic uses them."""

    stored: float
    nominal: float


def state_bytes(module: nn.Module) -> int:
    """Size of the module's state as a safetensors file, in bytes; a tensor that layers share counts once.

    The file has a header of some hundred bytes beside the numbers.

    >>> from torch import nn
    >>> state_bytes(nn.Linear(30, 20)) - state_bytes(nn.Linear(30, 10))  # 10 (30 + 1) float32, and as long a header
    1240
    """
    tied = shared_names(module)
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in module.state_dict().items()
        if name not in tied
    }
    return len(save(state))


def parameter_count(module: nn.Module) -> int:
    """Weights and biases, the scales of quantisers not among them.

    >>> from torch import nn
    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    quantisers = [part for part in module.modules() if hasattr(part, "is_quant_enabled")]
    scales = {id(parameter) for part in quantisers for parameter in part.parameters()}
    return sum(parameter.numel() for parameter in module.parameters() if id(parameter) not in scales)


def _nominal(layer: nn.Module, stored: int) -> float:
    """The width a quantised layer rounds its weight to."""
    quantiser = getattr(layer, "weight_quant", None)
    if quantiser is None or not getattr(quantiser, "is_quant_enabled", False):
        return float(stored)
    width = quantiser.bit_width()
    return float(stored) if width is None else float(width)


def weight_bits(module: nn.Module) -> Bits | None:
    """Stored and nominal bits of weights with two axes or more; None where there are none.

    A quantised layer may store 32-bit floats that its quantiser rounds to 4 bits: stored 32, nominal 4. A weight that
    layers share counts once for each width.

    >>> from torch import nn
    >>> weight_bits(nn.Linear(3, 2))
    Bits(stored=32.0, nominal=32.0)
    """
    count, stored, nominal = 0, 0.0, 0.0
    seen: set[tuple[int, float]] = set()
    for layer in module.modules():
        weight: Any = getattr(layer, "weight", None)
        if getattr(weight, "ndim", 0) < 2:
            continue
        width = 8 * weight.element_size()
        rounded = _nominal(layer, width)
        if (id(weight), rounded) in seen:
            continue
        seen.add((id(weight), rounded))
        count += weight.numel()
        stored += width * weight.numel()
        nominal += rounded * weight.numel()
    return Bits(stored / count, nominal / count) if count else None


class Products(NamedTuple):
    """Multiply-accumulates, or None and why they cannot be counted."""

    macs: int | None
    reason: str = ""


# the tokens of the names of operators that multiply and add, and that torch has no formula for
HIDING = {
    "vecdot", "linear", "attention", "rnn", "lstm", "gru", "matmul", "cdist", "pdist",
    "trilinear", "transformer", "head", "fft", "cholesky", "inv", "inverse", "solve", "svd", "eigh", "eig", "lstsq",
}  # fmt: skip
HARMLESS = frozenset({"_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"})  # gates alone; their products come before
OWN = frozenset({"aten", "prim", "prims"})  # namespaces of torch whose operators' names say what they compute


def multiply_accumulates(module: nn.Module, shape: tuple[int, ...]) -> Products:
    """Multiply-accumulates of all convolutions and matrix products on one sample of ``shape``; a copy of it runs.

    Counted where torch computes them, by torch's own formulas: in layers, in functions called outside of them, in
    attention and in TorchScript. Convolution: output elements · kernel elements · input channels / groups. Product of
    (n, k) and (k, m): n · k · m. Sums, normalisation, pooling, activations and what is multiplied element by element do
    not count. Where an operator hides products that torch has no formula for, there is no number.

    >>> from torch import nn
    >>> multiply_accumulates(nn.Conv2d(1, 2, 3, padding=1), (1, 4, 4)).macs
    288
    """
    aten = torch.ops.aten
    total, hidden = 0, dict[str, None]()

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            packet, named = getattr(func, "_overloadpacket", func), kwargs or {}
            formula = flop_registry.get(packet)
            if formula is None and hasattr(func, "decompose"):
                with self:
                    made = func.decompose(*args, **named)
                if made is not NotImplemented:
                    return made
            output = func(*args, **named)
            if formula is not None:
                total += formula(*args, **named, out_val=output) // 2  # a product and a sum are two operations
            elif packet in (aten.mv, aten.dot, aten.vdot):
                total += args[0].numel()
            elif packet is aten.addmv:
                total += args[1].numel()
            elif packet is aten.mkldnn_rnn_layer:  # (steps, samples, size), weights of inputs and of states
                total += args[0][..., 0].numel() * (args[1].numel() + args[2].numel())
            elif hides_products(str(packet)):
                hidden[str(packet)] = None
            return output

    counted = copied(module).cpu().eval()
    first = next((value for value in counted.state_dict().values() if value.is_floating_point()), None)
    example = torch.zeros(1, *shape, dtype=None if first is None else first.dtype)
    # off the fused paths, which hide their products
    with torch.no_grad(), plain_attention(), sdpa_kernel(SDPBackend.MATH), Counting():  # type: ignore[no-untyped-call]
        counted(example)
    return Products(None, f"torch has no formula for {', '.join(hidden)}") if hidden else Products(total)


def hides_products(name: str) -> bool:
    """Whether an operator may multiply and add, by its name ``namespace.operator``; foreign ones may do anything.

    >>> [hides_products(name) for name in ("aten.relu", "aten._int_mm", "aten.upsample_bilinear2d", "quantized.conv2d")]
    [False, True, False, True]
    """
    space, _, operator = name.partition(".")
    if space not in OWN or operator in HARMLESS:
        return space not in OWN
    tokens = operator.split("_")
    return any(t in HIDING or t.endswith("mm") or re.fullmatch(r"conv(olution)?\d?d?", t) for t in tokens)
