"""Conversions between the user's input space and a network's own, and from its output to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from bench.errors import UserError
from bench.networks.network import InputSpec, declared_axis

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", torch.Tensor, np.ndarray)

ONNX_INPUT_TYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


def to_network(x: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """``(scale x - mean) / std`` per channel, in the network's layout and dtype.

    Args:
        x: images (n, channels, height, width) or vectors (n, features) in the user's bounds, of any floating type,
            which is kept.
        declared: how the network takes it. uint8 rounds to the nearest whole number (half to even).

    Returns:
        The same shape, or (n, height, width, channels) for NHWC; x itself where nothing is declared.

    >>> import torch
    >>> spec = InputSpec(shape=(1, 1, 2), classes=(), mean=(1.0,), std=(2.0,), scale=3.0)
    >>> to_network(torch.tensor([[[[0.0, 1.0]]]]), spec).flatten().tolist()
    [-0.5, 1.0]
    """
    import torch

    if declared.scale != 1.0:
        x = x * declared.scale
    if not (set(declared.mean) == {0.0} and set(declared.std) == {1.0}):
        each = (1, -1, *[1] * (x.ndim - 2))  # channels of images, features of vectors
        mean = torch.tensor(declared.mean, dtype=x.dtype, device=x.device).view(each)
        std = torch.tensor(declared.std, dtype=x.dtype, device=x.device).view(each)
        x = (x - mean) / std
    if declared.layout == "NHWC":
        x = x.permute(0, 2, 3, 1).contiguous()
    return x.round().clamp(0, 255).to(torch.uint8) if declared.dtype == "uint8" else x


def class_scores(out: Array) -> Array:
    """A network's output (n, classes) or (n, classes, 1, ...) as (n, classes); any other as it is.

    >>> import torch
    >>> tuple(class_scores(torch.zeros(2, 10, 1, 1)).shape)
    (2, 10)
    """
    return out.reshape(out.shape[:2]) if len(out.shape) > 2 and set(out.shape[2:]) <= {1} else out


def scores_in_training(answer: Any) -> torch.Tensor:
    """The class scores of a network that trains; raises ``UserError`` where it answers more than these.

    Some networks answer auxiliary scores too, and only then; no step knows how they were weighed.
    """
    import torch

    if isinstance(answer, torch.Tensor):
        return answer
    what = f"in training mode the network answers a {type(answer).__name__}, in evaluation mode class scores alone"
    right = "let the factory switch auxiliary answers off, such as aux_logits = False, or answer alike in both modes"
    raise UserError.at("network", what, right)


def to_logits(out: torch.Tensor, declared: InputSpec, smallest: float | None = None) -> torch.Tensor:
    """A network's answer as logits of the data's classes: the logarithm of probabilities, in the data's order.

    Args:
        out: (..., classes) as the network puts it out.
        declared: what it puts out, and which class each output means.
        smallest: what a probability of zero counts as; the smallest normal number of its type by default.

    >>> import torch
    >>> spec = InputSpec(shape=(1, 1, 1), classes=("a", "b", "c"), order=(2, 0, 1))
    >>> to_logits(torch.tensor([[20.0, 0.0, 10.0]]), spec).tolist()
    [[0.0, 10.0, 20.0]]
    """
    import torch

    if declared.output == "probabilities":
        out = out.clamp_min(smallest or torch.finfo(out.dtype).tiny).log()
    positions = declared.positions
    return out[..., list(positions)] if positions else out


def to_outputs(labels: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """The network's output for each label (n,): what training on its own outputs needs.

    >>> import torch
    >>> to_outputs(torch.tensor([0, 2]), InputSpec(shape=(1, 1, 1), classes=("a", "b", "c"), order=(2, 0, 1))).tolist()
    [1, 0]
    """
    import torch

    positions = declared.positions
    return torch.tensor(positions, device=labels.device)[labels] if positions else labels


def check_declared(declared: InputSpec, where: str) -> None:
    """Raise ``UserError`` for a declaration that contradicts itself."""
    channels = declared.shape[0]
    if declared.layout == "NHWC" and len(declared.shape) != 3:
        what = f"layout NHWC of samples of shape {declared.shape}"
        raise UserError.at(f"{where}.layout", what, "leave it out: only images have a layout")
    for key, values in (("mean", declared.mean), ("std", declared.std)):
        if len(values) not in (1, channels):
            what = f"{len(values)} values for {channels} {declared_axis(declared.shape)}"
            raise UserError.at(f"{where}.{key}", what, f"give 1 or {channels}")
    if declared.dtype != "uint8":
        return
    if set(declared.mean) != {0.0} or set(declared.std) != {1.0}:
        what = "uint8 pixels with a mean and a std, which the network would have to take off itself"
        raise UserError.at(f"{where}.dtype", what, "give mean = [0], std = [1], or leave dtype out")
    low, high = (declared.scale * bound for bound in declared.bounds)
    if low < 0 or high > 255 or high - low < 2:
        span = f"[{low:g}, {high:g}]"
        advice = f"give scale = {255 / declared.bounds[1]:g}" if declared.bounds[1] > 0 else "give other bounds"
        raise UserError.at(f"{where}.dtype", f"uint8 pixels of data that lie in {span} after scale", advice)
