"""The difference of a twin from the session whose graph it executes, and from which difference on it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch

from bench.onnx_import.module import OnnxModule

MOVES: Final = frozenset({"Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Transpose"})


@dataclass(frozen=True)
class Parity:
    """The difference of a twin's logits from its session's on samples.

    A sample's difference is the largest over its classes. ``unit`` is what it is measured in: the step of the
    quantiser that the logits come from, or, where there is none, the spread of the session's logits (the root mean
    square of the logits less each sample's mean).
    """

    samples: int
    unit: str  # output step | logit spread
    size: float  # the unit, in logits
    median: float
    most: float  # 90 % quantile
    nearly_all: float  # 99 % quantile
    largest: float
    agreement: float  # share of samples on which both give the same class

    # Single roundings fall the other way where sums in floating point precede a quantiser; one of them moves the
    # output by a step or so. A median above one step, or differences that a logit's spread shows, are another function.
    MEDIAN: ClassVar[dict[str, float]] = {"output step": 1.0, "logit spread": 0.01}
    NEARLY_ALL: ClassVar[dict[str, float]] = {"output step": 4.0, "logit spread": 0.1}
    # an attack's success on the session must be within three points of that on the twin
    AGREEMENT: ClassVar[float] = 0.98

    @property
    def trusted(self) -> bool:
        """Whether gradients of the twin may speak for the session."""
        return (
            self.median <= self.MEDIAN[self.unit]
            and self.nearly_all <= self.NEARLY_ALL[self.unit]
            and self.agreement >= self.AGREEMENT
        )

    def canonical(self) -> dict[str, Any]:
        """The figures as JSON for results."""
        quantiles = {"0.5": self.median, "0.9": self.most, "0.99": self.nearly_all, "1": self.largest}
        return {
            "samples": self.samples,
            "unit": self.unit,
            "unit_in_logits": self.size,
            "logit_difference": quantiles,
            "argmax_agreement": self.agreement,
        }

    @property
    def refusal(self) -> str:
        """The refusal of a twin in words: what it means, the figures, and what to do."""
        return (
            f"no gradients to trust: the imported graph differs from ONNX Runtime's session {self}; attacks, Jacobians "
            "and attributions of it would be another function's. Measure the metric on a torch target, or accept the "
            "skip by name: not_applicable"
        )

    def __str__(self) -> str:
        """The figures as the reason of a refusal gives them."""
        return (
            f"on {self.samples} samples, in units of the {self.unit} ({self.size:.3g}): median {self.median:.3g} "
            f"(limit {self.MEDIAN[self.unit]:g}), 99 % quantile {self.nearly_all:.3g} "
            f"(limit {self.NEARLY_ALL[self.unit]:g}), largest {self.largest:.3g}; the same class on "
            f"{100 * self.agreement:.1f} % (limit {100 * self.AGREEMENT:g} %)"
        )


def parity_of(twin: torch.Tensor, session: torch.Tensor, step: float | None) -> Parity:
    """Compare logits (n, classes) of a twin and its session; ``step`` of the output's quantiser where there is one.

    >>> session = torch.tensor([[0.0, 2.0], [4.0, 0.0]])
    >>> parity = parity_of(session + torch.tensor([[0.5, 0.0], [0.0, 0.0]]), session, 0.5)
    >>> parity.unit, parity.largest, parity.median, parity.agreement
    ('output step', 1.0, 0.5, 1.0)
    """
    single = session.shape[1] == 1  # no classes: the spread of the one output over the samples
    centred = session.double() - session.double().mean(0 if single else 1, keepdim=True)
    spread = float(centred.square().mean().sqrt())
    unit, size = ("logit spread", spread) if step is None else ("output step", step)
    difference = (twin.double() - session.double()).abs().amax(1)
    same = bool((difference == 0).all())
    scaled = difference / (size if size > 0 else (1.0 if same else torch.finfo(torch.float64).tiny))
    levels = torch.tensor([0.5, 0.9, 0.99, 1.0], dtype=torch.float64)
    median, most, nearly_all, largest = (
        float(value) for value in torch.quantile(scaled, levels).nan_to_num(torch.inf).clamp(max=1e300)
    )
    agreement = float((twin.argmax(1) == session.argmax(1)).double().mean())
    return Parity(len(session), unit, size, median, most, nearly_all, largest, agreement)


def output_step(module: OnnxModule) -> float | None:
    """The step of the quantiser that the output comes from; None where the output is not quantised."""
    makers = {name: step.node for step in module.graph.steps for name in step.node.outputs}
    node = makers.get(module.graph.outputs[0])
    while node is not None and node.operator in MOVES:
        node = makers.get(node.inputs[0])
    if node is None or node.operator != "DequantizeLinear":
        return None
    scale = module.graph.constants.get(node.inputs[1])
    return float(scale.max()) if isinstance(scale, torch.Tensor) and scale.numel() else None
