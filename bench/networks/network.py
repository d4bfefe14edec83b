"""Networks of every kind, and the declaration of their input and output."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bench.errors import UserError
from bench.registry import nearest

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["torch", "torch-quantised", "onnx", "onnx-quantised", "function"]
Layout: TypeAlias = Literal["NCHW", "NHWC"]
Dtype: TypeAlias = Literal["float32", "uint8"]
Combine: TypeAlias = Literal["mean_probability", "mean_logit"]
"""How members become one output."""


@dataclass(frozen=True)
class InputSpec:
    """The user's input space, in which everything is measured, and how a network takes it and answers.

    ``shape`` is (channels, height, width) of one float32 sample whose values lie in ``bounds``, or (features,) of a
    vector, whose features stand where an image has its channels. A network is given
    ``(scale x - mean) / std`` in its ``layout`` and ``dtype``. ``order[j]`` is the class that its output ``j`` means;
    empty where outputs and ``classes`` stand in the same order. ``output_name`` is the output that holds the class
    scores, where there are several. A network of several ``members`` puts out (n, members, classes); ``combine`` says
    how they become one answer.

    >>> InputSpec(shape=(3, 8, 6), classes=("a", "b", "c"), layout="NHWC", order=(2, 0, 1)).network_shape
    (8, 6, 3)
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    bounds: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    output: Literal["logits", "probabilities"] = "logits"
    scale: float = 1.0
    layout: Layout = "NCHW"
    dtype: Dtype = "float32"
    order: tuple[int, ...] = ()
    output_name: str = ""
    members: int = 1
    combine: Combine = "mean_probability"

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Shape of one sample as the network takes it."""
        return (*self.shape[1:], self.shape[0]) if self.layout == "NHWC" else self.shape

    @property
    def positions(self) -> tuple[int, ...]:
        """The network's output for each class, the inverse of ``order``; empty where they are the same.

        >>> InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"), order=(2, 0, 1)).positions
        (1, 2, 0)
        """
        if self.order == tuple(range(len(self.order))):
            return ()
        return tuple(self.order.index(label) for label in range(len(self.order)))

    @property
    def one_member(self) -> InputSpec:
        """The declaration of a single member.

        >>> InputSpec(shape=(1, 1, 2), classes=(), members=3).one_member.members
        1
        """
        return replace(self, members=1, combine="mean_probability")

    def canonical(self) -> dict[str, Any]:
        """The declaration as JSON for keys and results; what is seldom declared stands there only where it is."""
        rare = {
            "scale": self.scale,
            "layout": self.layout,
            "dtype": self.dtype,
            "order": list(self.order),
            "output_name": self.output_name,
            "members": self.members,
            "combine": self.combine,
        }
        usual: dict[str, Any] = {"scale": 1.0, "layout": "NCHW", "dtype": "float32", "order": [], "output_name": ""}
        usual |= {"members": 1, "combine": "mean_probability"}
        return {
            "shape": list(self.shape),
            "classes": list(self.classes),
            "bounds": list(self.bounds),
            "mean": list(self.mean),
            "std": list(self.std),
            "output": self.output,
            **{name: value for name, value in rare.items() if value != usual[name]},
        }

    @classmethod
    def from_canonical(cls, data: dict[str, Any]) -> InputSpec:
        """Read back what ``canonical`` wrote; ``order`` may name classes.

        Raises:
            UserError: ``order`` is not every class once.
        """
        classes = tuple(data["classes"])
        return cls(
            shape=tuple(data["shape"]),
            classes=classes,
            bounds=(data["bounds"][0], data["bounds"][1]),
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
            output=data["output"],
            scale=data.get("scale", 1.0),
            layout=data.get("layout", "NCHW"),
            dtype=data.get("dtype", "float32"),
            order=class_order(data.get("order", ()), classes),
            output_name=data.get("output_name", ""),
            members=data.get("members", 1),
            combine=data.get("combine", "mean_probability"),
        )


def declared_axis(shape: Sequence[int]) -> str:
    """The axis that a mean and a std are given for: the first of a sample.

    >>> declared_axis((3, 8, 8)), declared_axis((64,))
    ('channels', 'features')
    """
    return "features" if len(shape) == 1 else "channels"


def spelled(shape: Sequence[int]) -> str:
    """Samples of a shape, in words.

    >>> spelled((64,)), spelled((2, 50))
    ('vectors of 64 features', 'samples of shape (2, 50)')
    """
    return f"vectors of {shape[0]} features" if len(shape) == 1 else f"samples of shape {tuple(shape)}"


def class_order(listed: Sequence[str | int], classes: tuple[str, ...]) -> tuple[int, ...]:
    """The class that each output means, from names or numbers; empty for none listed.

    >>> class_order(["cat", "ant", "bee"], ("ant", "bee", "cat"))
    (2, 0, 1)

    Raises:
        UserError: an unknown or doubled class, or one that is not listed.
    """
    where = "input.classes"
    order = []
    for item in listed:
        if isinstance(item, str) and classes.count(item) != 1:
            known = "two classes have this name: give numbers" if item in classes else nearest(item, classes[:20])
            raise UserError.at(where, f"{item!r} is {classes.count(item) or 'no'} class of the data", known)
        number = classes.index(item) if isinstance(item, str) else item
        if not 0 <= number < len(classes):
            raise UserError.at(where, f"{number} is no class of the data", f"give classes 0..{len(classes) - 1}")
        order.append(number)
    if order and sorted(order) != list(range(len(classes))):
        what = f"{len(order)} outputs name {len(set(order))} of {len(classes)} classes"
        raise UserError.at(where, what, "list every class once, in the order of the network's outputs")
    return tuple(order)


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A torch module in eval mode, without preprocessing, and how to build its structure again.

    ``record`` is the nested, JSON-only history (source, then one record a step): with the weights it suffices
    to restore the network without data.
    """

    module: nn.Module
    input: InputSpec
    record: dict[str, Any] = field(default_factory=dict)
    quantised: bool = False

    @property
    def kind(self) -> Kind:
        """The name steps check chains by."""
        return "torch-quantised" if self.quantised else "torch"

    @property
    def batch_dependent(self) -> bool:
        """Whether a sample's answer depends on the others of its batch: found when its source was taken in."""
        return bool(_source(self.record).get("batch_dependent"))


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A self-contained ONNX file (its bytes), without preprocessing."""

    model: bytes
    input: InputSpec
    record: dict[str, Any] = field(default_factory=dict)
    quantised: bool = False

    @property
    def kind(self) -> Kind:
        """The name steps check chains by."""
        return "onnx-quantised" if self.quantised else "onnx"

    @property
    def batch_dependent(self) -> bool:
        """Whether a sample's answer depends on the others of its batch: found when its source was taken in."""
        return bool(_source(self.record).get("batch_dependent"))

    @property
    def sha256(self) -> str:
        """Content hash of the file."""
        return hashlib.sha256(self.model).hexdigest()


@dataclass(frozen=True, eq=False)
class FunctionNetwork:
    """A function of arrays: preprocessed samples (n, ...) to class scores (n, classes). Nothing of it can be seen."""

    function: Callable[[Any], Any]
    input: InputSpec
    record: dict[str, Any] = field(default_factory=dict)
    quantised: bool = False

    @property
    def kind(self) -> Kind:
        """The name steps check chains by."""
        return "function"

    @property
    def batch_dependent(self) -> bool:
        """Whether a sample's answer depends on the others of its batch: found when it was taken in."""
        return bool(_source(self.record).get("batch_dependent"))


Network: TypeAlias = TorchNetwork | OnnxNetwork | FunctionNetwork


def _source(record: dict[str, Any]) -> dict[str, Any]:
    """The innermost record: where a network's history begins."""
    while "of" in record:
        record = record["of"]
    return record


def with_record(network: Network, record: dict[str, Any]) -> Network:
    """The same network with another record."""
    return replace(network, record=record)
