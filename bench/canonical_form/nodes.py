"""The nodes of a canonical form: each a function of tensors with one leading axis for the inputs put to it together.

A value has the shape (m, *shape), where ``shape`` is that of one sample as the network itself holds it, its batch axis
of one included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.canonical_form.activations import FUNCTIONS

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """A node: its name in the network, the places of its inputs in the graph, and the shape of its value."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape

    @property
    def size(self) -> int:
        """Numbers in a value."""
        return prod(self.shape)

    @abstractmethod
    def __call__(self, *values: Tensor) -> Tensor:
        """The value (m, *shape) from those of its inputs."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Node):
    """What is put to the network: its value stands before all others."""

    inputs: tuple[int, ...] = ()

    def __call__(self, *values: Tensor) -> Tensor:
        """What it is given."""
        return values[0]


class Linear(Node):
    """A linear map, with a constant that may be added."""

    bias: Tensor | None = None

    @abstractmethod
    def linear(self, *values: Tensor) -> Tensor:
        """The map without its constant: (m, *shape) of each input to (m, *shape)."""

    def __call__(self, *values: Tensor) -> Tensor:
        """The map with its constant."""
        out = self.linear(*values)
        return out if self.bias is None else out + self.bias


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Linear):
    """``x Wᵀ + b`` over the last axis: weight (out, in), bias of the value's shape or (out,)."""

    weight: Tensor
    bias: Tensor | None = None

    def linear(self, *values: Tensor) -> Tensor:
        """The product."""
        return values[0] @ self.weight.T


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Linear):
    """A convolution, transposed or not, of any number of axes, padded with zeros."""

    weight: Tensor  # (out, in / groups, ...), transposed (in, out / groups, ...)
    bias: Tensor | None = None  # of the value's shape, or (out, 1, ...)
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int = 1
    transposed: bool = False
    output_padding: Shape = ()

    def linear(self, *values: Tensor) -> Tensor:
        """The convolution without its constant."""
        x = values[0]
        out = torch.convolution(
            x.flatten(0, 1), self.weight, None, self.stride, self.padding, self.dilation, self.transposed,
            self.output_padding or (0,) * len(self.stride), self.groups,
        )  # fmt: skip
        return out.reshape(len(x), *self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale(Linear):
    """``factor ∘ x + b``, factor and bias broadcast to the value's shape."""

    factor: Tensor
    bias: Tensor | None = None

    def linear(self, *values: Tensor) -> Tensor:
        """The product entry by entry."""
        return values[0] * self.factor


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool(Linear):
    """Average pooling of two axes: the arguments of ``torch.nn.functional.avg_pool2d``."""

    kernel: Shape
    stride: Shape
    padding: Shape
    ceil: bool = False
    count_padding: bool = True
    divisor: int | None = None

    def linear(self, *values: Tensor) -> Tensor:
        """The averages."""
        x = values[0]
        out = F.avg_pool2d(
            x.flatten(0, 1), self.kernel, self.stride, self.padding, self.ceil, self.count_padding, self.divisor
        )
        return out.reshape(len(x), *self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Total(Linear):
    """``factor · Σ x`` over axes of the input: a mean, where the factor is one over their size."""

    axes: tuple[int, ...]
    factor: float
    count: int  # entries in each sum

    def linear(self, *values: Tensor) -> Tensor:
        """The sums times the factor."""
        x = values[0]
        return (x.sum(dim=[axis + 1 for axis in self.axes]) * self.factor).reshape(len(x), *self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Gather(Linear):
    """Entries of the input in other places: a view, a permutation, a slice, padding with zeros, copies.

    ``index`` (size,): one plus the flat place of each entry; 0 is a zero.
    """

    index: Tensor

    def linear(self, *values: Tensor) -> Tensor:
        """The entries."""
        x = values[0]
        padded = F.pad(x.flatten(1), (1, 0))
        return padded[:, self.index].reshape(len(x), *self.shape)

    @property
    def copies(self) -> int:
        """How often the entry that is copied most appears."""
        counts = torch.bincount(self.index)
        return int(counts[1:].max()) if len(counts) > 1 else 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Linear):
    """``Σ c_i x_i`` of inputs of one shape."""

    coefficients: tuple[float, ...]

    def linear(self, *values: Tensor) -> Tensor:
        """The sum."""
        return sum((c * value for c, value in zip(self.coefficients, values, strict=True)), torch.zeros(()).double())


@dataclass(frozen=True, eq=False, kw_only=True)
class Concatenate(Linear):
    """Inputs one after the other along an axis."""

    axis: int

    def linear(self, *values: Tensor) -> Tensor:
        """The whole."""
        return torch.cat(values, dim=self.axis + 1)


class Nonlinear(Node):
    """What is not linear."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Activation(Nonlinear):
    """A function of single numbers: its name, and its parameters in their order."""

    function: str
    parameters: tuple[float | str | Tensor | None, ...] = ()  # tensors, of clamp alone: ends that differ by entry

    def __call__(self, *values: Tensor) -> Tensor:
        """The function, entry by entry."""
        return FUNCTIONS[self.function](values[0], *self.parameters)


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantise(Nonlinear):
    """Rounding to a grid and a range: ``clamp(scale · (round(x / scale + zero) − zero), low, high)``, halves to even.

    With codes from qmin to qmax, low is ``(qmin − zero) scale`` and high ``(qmax − zero) scale``; ±inf where there is
    no end. All four are float64, numbers (0-d) or broadcast over the value's shape. Since a clamp takes no two numbers
    further apart, ``|Quantise(x) − clamp(x, low, high)| ≤ scale / 2``.

    >>> node = Quantise(name="q", inputs=(0,), shape=(3,), scale=torch.tensor(0.5), low=torch.tensor(0.0),
    ...                 high=torch.tensor(1.0))
    >>> x = torch.tensor([[-0.75, 0.125, 0.875]])
    >>> node(x).tolist(), node.surrogate(x).tolist()
    ([[0.0, 0.0, 1.0]], [[0.0, 0.125, 0.875]])
    """

    scale: Tensor
    low: Tensor
    high: Tensor
    zero: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))  # any number, not codes alone

    def __call__(self, *values: Tensor) -> Tensor:
        """The nearest point of the grid within the range."""
        codes = torch.round(values[0] / self.scale + self.zero)
        return torch.clamp((codes - self.zero) * self.scale, self.low, self.high)

    def surrogate(self, x: Tensor) -> Tensor:
        """``clamp(x, low, high)``: rounding left out."""
        return torch.clamp(x, self.low, self.high)


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Nonlinear):
    """Max pooling of two axes; padding never wins."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    ceil: bool = False

    def __call__(self, *values: Tensor) -> Tensor:
        """The largest entries."""
        x = values[0]
        out = F.max_pool2d(x.flatten(0, 1), self.kernel, self.stride, self.padding, self.dilation, self.ceil)
        return out.reshape(len(x), *self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Nonlinear):
    """The softmax along an axis, or its logarithm."""

    axis: int
    logarithm: bool = False

    def __call__(self, *values: Tensor) -> Tensor:
        """The probabilities, or their logarithms."""
        function = torch.log_softmax if self.logarithm else torch.softmax
        return function(values[0], self.axis + 1)
