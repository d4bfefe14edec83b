"""What flows through the pipeline: a network and how its input is declared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["torch", "torch-quantised", "onnx", "onnx-quantised"]


@dataclass(frozen=True)
class InputSpec:
    """The user's input space: everything is measured in it; ``(x - mean) / std`` belongs to the network.

    ``shape`` is (channels, height, width) of one float32 sample whose values lie in ``bounds``.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    bounds: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    output: Literal["logits", "probabilities"] = "logits"

    def canonical(self) -> dict[str, Any]:
        """As JSON for keys and results."""
        return {
            "shape": list(self.shape),
            "classes": list(self.classes),
            "bounds": list(self.bounds),
            "mean": list(self.mean),
            "std": list(self.std),
            "output": self.output,
        }

    @classmethod
    def from_canonical(cls, data: dict[str, Any]) -> InputSpec:
        """Read back what ``canonical`` wrote."""
        return cls(
            shape=tuple(data["shape"]),
            classes=tuple(data["classes"]),
            bounds=(data["bounds"][0], data["bounds"][1]),
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
            output=data["output"],
        )


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
    def sha256(self) -> str:
        """Content hash of the file."""
        return hashlib.sha256(self.model).hexdigest()


Network: TypeAlias = TorchNetwork | OnnxNetwork


def with_record(network: Network, record: dict[str, Any]) -> Network:
    """The same network with another record."""
    return replace(network, record=record)
