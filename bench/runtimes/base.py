"""Targets, runtimes, and predictors: the one interface to a network on a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from bench.errors import NotDifferentiable
from bench.integer_sums.pairs import Sums
from bench.networks.interface import combined, to_logits, to_network
from bench.networks.network import InputSpec, Network
from bench.registry import Registry, parameters

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

Optimisation = Literal["disabled", "basic", "extended", "all"]
Format = Literal["onnx", "ort"]
IntegerSums = Literal["native", "exact", "saturating"]
Softmax = Literal["", "removed", "kept"]
"""Of a network that puts out probabilities: logits stand before its final Softmax, or logarithms are taken."""


@parameters
class Target:
    """A target: where a network runs."""

    name: Annotated[str, Field(description="what variants and results call it")]
    runtime: Annotated[str, Field(description="a registered runtime, or module:object")] = "torch"
    provider: Annotated[str, Field(description="ONNX Runtime execution provider")] = "CPUExecutionProvider"
    threads: Annotated[int, Field(ge=1, description="threads of the runtime")] = 1
    optimisation: Annotated[Optimisation, Field(description="ONNX Runtime graph optimisation")] = "all"
    format: Annotated[
        Format, Field(description="the file ONNX Runtime opens: ort is converted, with the optimisation built in")
    ] = "onnx"
    integer_sums: Annotated[
        IntegerSums,
        Field(
            description="how ONNX Runtime sums products of 8-bit integers: native, as this processor does; exact, the"
            " same everywhere; saturating, as x86 without VNNI does, simulated on other processors"
        ),
    ] = "native"

    def tells_apart(self, kind: str) -> bool:
        """Whether it can answer otherwise than other targets: saturating sums change nothing without 8-bit products."""
        return self.integer_sums != "saturating" or kind.endswith("-quantised")

    def canonical(self) -> dict[str, Any]:
        """The properties that can change a value, as JSON: for torch neither provider, optimisation nor format.

        How 8-bit products are summed is not in it: that matters to networks with such products alone.
        """
        base: dict[str, Any] = {"runtime": self.runtime, "threads": self.threads}
        if self.runtime != "torch":
            base |= {"provider": self.provider, "optimisation": self.optimisation, "format": self.format}
        return base


@dataclass(frozen=True)
class PredictorSpec:
    """The properties of a predictor: input, target, members, batch dependence, sums, softmax."""

    input: InputSpec
    target: Target
    members: int = 1
    batch_dependent: bool = False
    integer_sums: Sums | None = (
        None  # of a network with 8-bit products; None: it has none, or the provider does not tell
    )
    softmax: Softmax = ""
    simulated: bool = False  # not run by the target's runtime: no latency, no memory


class Predictor(ABC):
    """A network on a target, in the input space of the user's data.

    Base code owns batching and preprocessing; a runtime writes ``forward``.
    """

    spec: PredictorSpec
    network: Network
    batch_size: int = 256
    threads: int = 0  # that run it; 0: the target's own
    smallest: float | None = None  # what a probability of zero counts as
    parity: dict[str, Any] | None = None  # how far the differentiable view is from what runs, where it is another thing

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, batch, classes) float32 (or float64) of one preprocessed batch."""

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        """Bring x to what the network takes: ``(scale x - mean) / std`` per channel, in its layout and dtype."""
        return to_network(x, self.spec.input)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, n, classes) of x (n, channels, height, width) in the user's bounds, without gradient.

        A network that puts out probabilities answers what stands before its final Softmax, else their logarithm;
        classes stand in the data's order.
        """
        import torch

        size = 1 if self.spec.batch_dependent else self.batch_size
        with torch.no_grad():
            parts = [self.forward(self.preprocess(batch)).cpu() for batch in torch.split(x, size)]
        return self.to_user(torch.cat(parts, dim=1))

    def combined(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of x (n, ...) in the user's bounds, the members made one as the network declares."""
        return combined(self.logits(x), self.spec.input.combine)

    def to_user(self, out: torch.Tensor) -> torch.Tensor:
        """Bring what ``forward`` gave to logits of the data's classes."""
        return to_logits(out, self.spec.input, self.smallest)

    def as_shipped(self) -> Predictor:
        """The network with everything that it was shipped with, a final Softmax too: what its costs are taken of."""
        return self

    def trust(self, x: torch.Tensor) -> None:
        """Compare the differentiable view with what runs, on real samples x (n, ...) in the user's bounds.

        ``parity`` holds the figures; None where both are the same thing. Raises ``NotDifferentiable``, with the
        figures, where they differ too much.
        """
        self.parity = None

    def differentiable(
        self,
        gradient: Literal["exact", "straight_through", "hard"] = "exact",
    ) -> nn.Module:
        """A module from user-space images (batch, ...) to logits (batch, classes) with input gradients.

        Of several members the combination: the expectation over them, not one of them.
        """
        raise NotDifferentiable(f"no input gradients on runtime {self.spec.target.runtime!r}")

    def straight_through(self, x: NDArray[np.float32]) -> nn.Module:
        """A module as ``differentiable`` gives it, what rounds passed straight through; checked on real samples x.

        For networks that round without being known as quantised.
        """
        return self.differentiable(gradient="straight_through")


class Runtime(ABC):
    """A way to run networks: registered by name, opens predictors."""

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str]]  # network kinds it runs as they are
    packages: ClassVar[tuple[str, ...]]  # their versions enter every key
    gradients: ClassVar[int] = 0  # version of its differentiable view; enters the keys of what uses gradients
    view_packages: ClassVar[tuple[str, ...]] = ()  # what the view stands on beside ``packages``

    @abstractmethod
    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> Predictor:
        """Open a predictor.

        ``floor``: the same function by another arithmetic route (another batch size and thread count, float64
        where the runtime has it), to measure the numerical floor.
        """


HELPERS = (
    "integer_sums",
    "onnx_operators",
    "onnx_predictor",
    "onnx_session",
    "running_file",
    "saturation",
    "torch_predictor",
)

runtimes: Registry[type[Runtime]] = Registry("runtime", "bench.runtimes", HELPERS)
