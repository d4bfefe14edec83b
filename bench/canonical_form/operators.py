"""Nodes of torch's operators, by their names; whatever is not named here is refused."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final, Literal, TypeAlias

import torch
from torch import Tensor

from bench.canonical_form.calls import Alive, Call, only_input
from bench.canonical_form.nodes import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Scale,
    Softmax,
    Total,
)
from bench.canonical_form.rearrangements import REARRANGING, SEVERAL, parts, rearranged
from bench.canonical_form.roundings import Compared, bounded, chosen, clamp, fake_quantised, rounded
from bench.errors import NotApplicable

Rounding: TypeAlias = Literal["refuse", "keep"]
PRODUCT: Final = "multiplies two figures of the input, as attention does; that has no global Lipschitz constant"
ROUNDS: Final = "it rounds, and a function that rounds has no finite Lipschitz constant"
WHY: Final = {
    "round": ROUNDS,
    "floor": ROUNDS,
    "ceil": ROUNDS,
    "trunc": ROUNDS,
    "fake_quantize": ROUNDS,
    "native_layer_norm": "layer normalisation has no useful global Lipschitz constant",
    "native_group_norm": "group normalisation has no useful global Lipschitz constant",
    "bernoulli": "it draws random numbers",
    "attention": "attention has no global Lipschitz constant",
}


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().double()


def added(call: Call, sign: tuple[float, float]) -> Node:
    """``a + alpha b``: of two values, or a constant that is added."""
    first, second = call.args[0], call.args[1]
    alpha = float(call.kwargs.get("alpha", 1))
    c = (sign[0], sign[1] * alpha) if call.operator != "rsub" else (sign[0] * alpha, sign[1])
    if isinstance(first, Alive) and isinstance(second, Alive):
        if not first.shape == second.shape == tuple(call.out.shape):
            raise NotApplicable(f"{call.name}: adds values of shapes {first.shape} and {second.shape}")
        return Add(coefficients=c, **call.base(first, second))
    alive, constant, factor, other = (first, second, *c) if isinstance(first, Alive) else (second, first, c[1], c[0])
    if alive.shape != tuple(call.out.shape):
        raise NotApplicable(f"{call.name}: adds a constant of a larger shape")
    return Scale(factor=_double(factor), bias=other * _double(constant), **call.base(alive))


def multiplied(call: Call) -> Node:
    """A product with a constant."""
    first, second = call.args[0], call.args[1]
    if isinstance(first, Alive) and isinstance(second, Alive):
        raise NotApplicable(f"{call.name}: {PRODUCT}")
    if call.operator == "div" and isinstance(second, Alive):
        raise NotApplicable(f"{call.name}: divides by a figure of the input; that has no global Lipschitz constant")
    alive, constant = (first, second) if isinstance(first, Alive) else (second, first)
    if alive.shape != tuple(call.out.shape):
        raise NotApplicable(f"{call.name}: multiplies by a constant of a larger shape")
    factor = 1.0 / _double(constant) if call.operator == "div" else _double(constant)
    return Scale(factor=factor, **call.base(alive))


def negated(call: Call) -> Node:
    """``−x``."""
    return Scale(factor=torch.tensor(-1.0).double(), **call.base(only_input(call)))


def normalised(call: Call) -> Node:
    """BatchNorm with kept statistics: a factor and a shift of each channel."""
    alive = call.args[0]
    if call.operator == "_native_batch_norm_legit_no_training":
        weight, bias, mean, variance, _, eps = call.args[1:7]
        training = False
    else:
        weight, bias, mean, variance, training, _, eps = call.args[1:8]
    if training:
        raise NotApplicable(f"{call.name}: BatchNorm in training mode: an answer depends on the whole batch")
    factor = 1.0 / torch.sqrt(_double(variance) + eps)
    factor = factor if weight is None else factor * _double(weight)
    shift = -_double(mean) * factor + (0.0 if bias is None else _double(bias))
    wide = (1, -1, *[1] * (len(alive.shape) - 2))
    return Scale(factor=factor.reshape(wide), bias=shift.reshape(wide), **call.base(alive))


def convolved(call: Call) -> Node:
    """A convolution with a constant kernel."""
    alive, weight, bias, stride, padding, dilation, transposed, output_padding, groups = call.args[:9]
    if not isinstance(alive, Alive) or isinstance(weight, Alive):
        raise NotApplicable(f"{call.name}: the kernel of a convolution depends on the input")
    wide = (-1, *[1] * (weight.ndim - 2))
    return Convolution(
        weight=_double(weight), bias=None if bias is None else _double(bias).reshape(wide), stride=tuple(stride),
        padding=tuple(padding), dilation=tuple(dilation), groups=groups, transposed=transposed,
        output_padding=tuple(output_padding), **call.base(alive),
    )  # fmt: skip


def dense(call: Call) -> Node:
    """A product with a constant matrix from the right."""
    bias, operands = None, call.args
    if call.operator in ("addmm", "baddbmm"):
        if call.kwargs.get("alpha", 1) != 1 or call.kwargs.get("beta", 1) != 1 or isinstance(call.args[0], Alive):
            raise NotApplicable(f"{call.name}: {call.operator!r} is not known with these operands")
        bias, operands = call.args[0], call.args[1:]
    alive, matrix = operands[0], operands[1]
    if isinstance(alive, Alive) and isinstance(matrix, Alive):
        raise NotApplicable(f"{call.name}: {PRODUCT}")
    if not isinstance(alive, Alive) or (matrix.ndim == 3 and len(matrix) != 1):
        raise NotApplicable(f"{call.name}: {call.operator!r} is not known with these operands")
    weight = _double(matrix[0] if matrix.ndim == 3 else matrix).T.contiguous()
    return Dense(weight=weight, bias=None if bias is None else _double(bias), **call.base(alive))


def totalled(call: Call) -> Node:
    """A sum or a mean over axes."""
    alive = only_input(call)
    axes = call.argument(1, "dim", None)
    if not isinstance(axes, list | tuple | int) or axes in ([], ()):
        axes = list(range(len(alive.shape)))
    axes = tuple(axis % len(alive.shape) for axis in ([axes] if isinstance(axes, int) else axes))
    count = prod(alive.shape[axis] for axis in axes)
    factor = 1.0 / count if call.operator == "mean" else 1.0
    return Total(axes=axes, factor=factor, count=count, **call.base(alive))


def averaged(call: Call) -> Node:
    """Average pooling of two axes."""
    alive = only_input(call)
    kernel = _two(call.args[1])
    stride = _two(call.argument(2, "stride", []) or kernel)
    return AveragePool(
        kernel=kernel, stride=stride, padding=_two(call.argument(3, "padding", 0)),
        ceil=call.argument(4, "ceil_mode", False), count_padding=call.argument(5, "count_include_pad", True),
        divisor=call.argument(6, "divisor_override", None), **call.base(alive),
    )  # fmt: skip


def averaged_to(call: Call) -> Node:
    """Adaptive average pooling, where every window has one size."""
    alive = only_input(call)
    wanted, given = tuple(call.args[1]), alive.shape[-2:]
    if any(size % target for size, target in zip(given, wanted, strict=True)):
        raise NotApplicable(f"{call.name}: pools {given} to {wanted}, windows of unequal size")
    kernel = tuple(size // target for size, target in zip(given, wanted, strict=True))
    return AveragePool(kernel=kernel, stride=kernel, padding=(0, 0), **call.base(alive))


def pooled(call: Call) -> Node:
    """Max pooling of two axes."""
    alive = only_input(call)
    kernel = _two(call.args[1])
    return MaxPool(
        kernel=kernel, stride=_two(call.argument(2, "stride", []) or kernel),
        padding=_two(call.argument(3, "padding", 0)), dilation=_two(call.argument(4, "dilation", 1)),
        ceil=call.argument(5, "ceil_mode", False), **call.base(alive),
    )  # fmt: skip


def _two(value: Any) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    return given * 2 if len(given) == 1 else given


def concatenated(call: Call) -> Node:
    """Values one after the other; constants among them are refused."""
    items, axis = call.args[0], call.argument(1, "dim", 0)
    if not all(isinstance(item, Alive) for item in items):
        raise NotApplicable(f"{call.name}: concatenates a value and a constant")
    return Concatenate(axis=axis % len(call.out.shape), **call.base(*items))


def activated(call: Call) -> Node:
    """A function of single numbers."""
    alive = only_input(call)
    name, given = call.operator, tuple(call.args[1:])
    if name == "gelu":
        given = (call.argument(1, "approximate", "none"),)
    elif name == "hardtanh":
        name, given = "clamp", given or (-1.0, 1.0)
    elif name in ("clamp_min", "clamp_max"):
        name, given = "clamp", ((given[0], None) if name == "clamp_min" else (None, given[0]))
    elif name == "clamp":
        given = (call.argument(1, "min", None), call.argument(2, "max", None))
    if name == "clamp" and not any(isinstance(item, Alive) for item in given):
        return clamp(call, alive, *(*given, None)[:2])
    if any(isinstance(item, Alive | Tensor) for item in given):
        raise NotApplicable(f"{call.name}: {call.operator!r} with a parameter for each entry is not known")
    return Activation(function=name, parameters=given, **call.base(alive))


def softmaxed(call: Call) -> Node:
    """The softmax, or its logarithm."""
    alive = only_input(call)
    axis = call.args[1] % len(alive.shape)
    return Softmax(axis=axis, logarithm=call.operator == "_log_softmax", **call.base(alive))


OPERATORS: Final[dict[str, Callable[[Call], Node | list[Node]]]] = {
    **dict.fromkeys(REARRANGING, rearranged),
    **dict.fromkeys(SEVERAL, parts),
    "add": lambda call: added(call, (1.0, 1.0)),
    "sub": lambda call: added(call, (1.0, -1.0)),
    "rsub": lambda call: added(call, (-1.0, 1.0)),
    **dict.fromkeys(("mul", "div"), multiplied),
    "neg": negated,
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"), normalised
    ),
    "convolution": convolved,
    **dict.fromkeys(("addmm", "mm", "bmm", "matmul"), dense),
    **dict.fromkeys(("mean", "sum"), totalled),
    "avg_pool2d": averaged,
    "_adaptive_avg_pool2d": averaged_to,
    "max_pool2d_with_indices": pooled,
    "cat": concatenated,
    **dict.fromkeys(
        (
            "abs", "clamp", "clamp_max", "clamp_min", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh",
            "leaky_relu", "mish", "relu", "sigmoid", "silu", "softplus", "tanh",
        ),
        activated,
    ),
    **dict.fromkeys(("_softmax", "_log_softmax"), softmaxed),
    "where": chosen,
    **dict.fromkeys(("maximum", "minimum"), bounded),
}  # fmt: skip
ROUNDING: Final[dict[str, Callable[[Call], Node]]] = {
    "round": rounded,
    **dict.fromkeys(
        (
            "fake_quantize_per_tensor_affine", "fake_quantize_per_tensor_affine_cachemask",
            "fake_quantize_per_channel_affine", "fake_quantize_per_channel_affine_cachemask",
            "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
        ),
        fake_quantised,
    ),
}  # fmt: skip
"""Operators that round: known where rounding is kept."""


def nodes_of(call: Call, rounding: Rounding = "refuse") -> Node | list[Node]:
    """The node of an operator on the input, or those of one with several results.

    Args:
        call: the operator.
        rounding: whether one that rounds has a node.

    Raises:
        NotApplicable: it has no canonical form; the layer and the operator are named.
    """
    if call.operator != "where" and any(isinstance(item, Compared) for item in (*call.args, *call.kwargs.values())):
        raise NotApplicable(f"{call.name}: operator {call.operator!r} of a comparison has no canonical form")
    rule = OPERATORS.get(call.operator) or (ROUNDING.get(call.operator) if rounding == "keep" else None)
    if rule is None:
        why = next((text for word, text in WHY.items() if word in call.operator), "it has no canonical form")
        raise NotApplicable(f"{call.name}: operator {call.operator!r}: {why}")
    return rule(call)
