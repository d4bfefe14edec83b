"""Conversions between the user's input space and a network's own, and from its output to logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from bench.errors import UserError
from bench.networks.network import Combine, InputSpec, declared_axis

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


def member_scores(out: Array, declared: InputSpec) -> Array:
    """A network's output, (n, classes) or (n, members, classes), with the members first: (members, n, classes).

    >>> import torch
    >>> spec = InputSpec(shape=(1, 1, 1), classes=("a", "b"), members=3)
    >>> tuple(member_scores(torch.zeros(5, 3, 2), spec).shape)
    (3, 5, 2)
    """
    return out.swapaxes(0, 1) if declared.members > 1 else class_scores(out)[None]


def answer_of(out: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """A network's output as logits (n, classes) in its own order of classes, its members made one.

    >>> import torch
    >>> spec = InputSpec(shape=(1, 1, 1), classes=("a", "b"), output="probabilities")
    >>> answer_of(torch.tensor([[0.25, 0.75]]), spec).exp().tolist()
    [[0.25, 0.75]]
    """
    return combined(member_scores(raw_logits(out, declared), declared), declared.combine)


def raw_logits(out: torch.Tensor, declared: InputSpec) -> torch.Tensor:
    """A network's output as logits, or the logarithm of the probabilities that it puts out: the same shape."""
    import torch

    return out if declared.output == "logits" else out.clamp_min(torch.finfo(out.dtype).tiny).log()


def by_member(out: torch.Tensor, of_samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each member's row of scores (n members, classes), and what each is to answer, repeated: mean losses over both.

    >>> import torch
    >>> rows, labels = by_member(torch.zeros(2, 3, 10), torch.tensor([4, 7]))
    >>> tuple(rows.shape), labels.tolist()
    ((6, 10), [4, 4, 4, 7, 7, 7])
    """
    rows = out.flatten(0, -2)
    return rows, of_samples.repeat_interleave(len(rows) // len(of_samples), dim=0)


def put_out(shape: Sequence[int], members: int) -> tuple[int, ...]:
    """The shape that a network put out, of what ``member_scores`` made of it.

    >>> put_out((1, 5, 10), 1), put_out((3, 5, 10), 3)
    ((5, 10), (5, 3, 10))
    """
    return tuple(shape[1:]) if members == 1 else (*shape[1::-1], *shape[2:])


def scored_classes(shape: Sequence[int], count: int, members: int = 1) -> int:
    """The classes of an output of that shape for ``count`` samples; 0 where it is not one row of scores each.

    >>> scored_classes((5, 10, 1, 1), 5), scored_classes((5, 3, 10), 5, 3), scored_classes((5, 10), 5, 3)
    (10, 10, 0)
    """
    if len(shape) < 2 or shape[0] != count:
        return 0
    if members == 1:
        return shape[1] if set(shape[2:]) <= {1} else 0
    return shape[2] if len(shape) == 3 and shape[1] == members else 0


def scores_shape(count: int | str, members: int = 1, classes: int | str = 0) -> str:
    """The shape of scores as people write it; 0 classes: any number.

    >>> scores_shape(1, classes=10), scores_shape("batch", members=3)
    ('(1, 10)', '(batch, 3, classes)')
    """
    return f"({', '.join(map(str, [count, *([members] if members > 1 else []), classes or 'classes']))})"


def combined(logits: torch.Tensor, combine: Combine = "mean_probability") -> torch.Tensor:
    """The members' logits (members, n, classes) as one network's (n, classes); one member's as they are.

    ``mean_probability``: ``log (1/K) Σ_k softmax(z_k)``; ``mean_logit``: ``(1/K) Σ_k z_k``.

    >>> import torch
    >>> two = torch.tensor([[[0.0, 100.0]], [[100.0, 0.0]]])
    >>> combined(two).exp().tolist(), combined(two, "mean_logit").tolist()
    ([[0.5, 0.5]], [[50.0, 50.0]])
    """
    if len(logits) == 1:
        return logits[0]
    if combine == "mean_logit":
        return logits.mean(dim=0)
    return logits.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(logits))


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
