"""The metric of local Lipschitz constants: how strongly a network reacts to its input near the samples."""

from __future__ import annotations

from typing import Any, ClassVar

from bench.functional.jacobian import SMALLEST, jacobian_difference, log_norms, spectral_norms
from bench.functional.named_quantiles import named_quantiles
from bench.metrics.base import Family, Metric
from bench.metrics.base import metrics as registry
from bench.metrics.values import Array, Arrays, Bound, BoundFigures, Change, Derived, Mean, Value, with_tail
from bench.probes.base import Probe
from bench.probes.jacobian import Jacobian
from bench.registry import parameters


def _largest(norm: Array) -> BoundFigures:
    return BoundFigures(lower=float(norm.max()), upper=None)


@registry.register("lipschitz.local")
@parameters
class LocalLipschitz(Metric):
    """Spectral norms of the input Jacobian of the centred logits, at the samples themselves.

    ``largest_jacobian_norm``: the largest one found, a lower bound of the network's l2 Lipschitz constant unless a
    sample meets several kinks exactly (``lipschitz.global`` looks beside them); of two lower bounds no ratio is known.
    ``jacobian_difference``: ‖J_f(x) − J_g(x)‖₂. ``log_jacobian_norm``: mean of log ‖J(x)‖₂ (norms below 1e-12 count as
    1e-12), so its harm is the logarithm of a ratio of geometric means. A network with quantisers is differentiated
    straight through them; what is bounded then is that surrogate, since a function that rounds has no finite Lipschitz
    constant. Figures are per unit of the user's input.
    """

    family: ClassVar[Family] = "lipschitz"
    headline: ClassVar[str | None] = "jacobian_difference"
    probes: ClassVar[tuple[Probe, ...]] = (Jacobian(),)
    derived: ClassVar[tuple[Derived, ...]] = (
        Derived("norm", spectral_norms, of="jacobian"),
        Derived("log_norm", log_norms, of="norm"),
    )
    values: ClassVar[tuple[Value, ...]] = (
        *with_tail(Change("jacobian_difference", jacobian_difference, of="jacobian", power=1)),
        Mean("log_jacobian_norm", of="log_norm", better="lower", unit="log"),
        Bound(
            "largest_jacobian_norm", _largest, of="norm", evidence="lower", norm="l2->l2", domain="evaluation samples"
        ),
    )

    def protocol(self) -> dict[str, Any]:
        """The protocol: what is differentiated, and how."""
        return {**super().protocol(), "output": "centred logits", "norm": "l2->l2"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the norms, and how many are zero."""
        return {
            "norm_quantiles": named_quantiles(arrays["norm"], (0.05, 0.5, 0.95, 1)),
            "zero_gradients": int((arrays["norm"] < SMALLEST).sum()),
        }
