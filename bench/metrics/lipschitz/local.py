"""How strongly a network reacts to its input near the samples."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.functional.jacobian import input_jacobian, spectral_norms
from bench.metrics.base import (
    Arrays,
    Bound,
    BoundFigures,
    Change,
    Family,
    Float,
    Metric,
    Observing,
    Quality,
    Value,
    Weights,
)
from bench.metrics.base import metrics as registry
from bench.metrics.evaluation import CODES, gradient_named, gradient_view
from bench.registry import parameters
from bench.runtimes.base import Predictor
from bench.stats.resampling import resampled_means

MEMORY_LIMIT = 512 * 2**20  # bytes of Jacobians kept for one network
SMALLEST = 1e-12  # a norm below it counts as this much, so that its logarithm exists


def _largest(arrays: Arrays) -> BoundFigures:
    return BoundFigures(lower=float(arrays["norm"].max()), upper=None)


def _difference(a: Arrays, b: Arrays) -> Float:
    return spectral_norms(a["jacobian"].astype(np.float64) - b["jacobian"])


def _log_norms(arrays: Arrays) -> Float:
    return np.asarray(np.log(np.maximum(arrays["norm"], SMALLEST)), dtype=np.float64)


def _mean_log_norm(arrays: Arrays, weights: Weights) -> Float:
    return resampled_means(_log_norms(arrays), weights)


@registry.register("lipschitz.local")
@parameters
class LocalLipschitz(Metric):
    """Spectral norms of the input Jacobian of the centred logits, at the samples themselves.

    ``largest_jacobian_norm``: the largest one found, a lower bound of the network's l2 Lipschitz constant; of two lower
    bounds no ratio is known. ``jacobian_difference``: ‖J_f(x) − J_g(x)‖₂. ``log_jacobian_norm``: mean of log ‖J(x)‖₂
    (norms below 1e-12 count as 1e-12), so its harm is the logarithm of a ratio of geometric means. A network with
    quantisers is differentiated straight through them; what is bounded then is that surrogate, since a function that
    rounds has no finite Lipschitz constant. Figures are per unit of the user's input.
    """

    family: ClassVar[Family] = "lipschitz"
    gradients: ClassVar[bool] = True
    headline: ClassVar[str | None] = "jacobian_difference"
    values: ClassVar[tuple[Value, ...]] = (
        Change("jacobian_difference", _difference, power=1),
        Quality("log_jacobian_norm", _mean_log_norm, better="lower", unit="log", per_sample=_log_norms),
        Bound("largest_jacobian_norm", _largest, evidence="lower", norm="l2->l2", domain="evaluation samples"),
    )

    def observe(self, predictor: Predictor, samples: Samples, observing: Observing) -> dict[str, NDArray[Any]]:
        """``jacobian`` (n, classes, inputs) float32 and its spectral ``norm`` (n,) float64."""
        declared = predictor.spec.input
        entries = len(samples) * len(declared.classes) * int(np.prod(declared.shape))
        if entries * 4 > MEMORY_LIMIT:
            most = MEMORY_LIMIT * len(samples) // (entries * 4)
            advice = f"set samples to {most} or less" if most else "the inputs are too large for this metric"
            limit = f"more than the {MEMORY_LIMIT / 2**20:.0f} MiB this metric keeps"
            raise NotApplicable(f"the Jacobians need {entries * 4 / 2**20:.0f} MiB, {limit}; {advice}")
        with gradient_view(predictor, samples) as view:
            (jacobian,) = view.each_batch(lambda x: (input_jacobian(view.module, x).float(),), samples.x)
        if not np.isfinite(jacobian).all():
            raise FloatingPointError("the network gives NaN or infinite gradients")
        code = np.array(CODES[view.gradient])
        return {"jacobian": jacobian, "norm": spectral_norms(jacobian), "gradient": code}

    def protocol(self) -> dict[str, Any]:
        """What is differentiated, and how."""
        return {**super().protocol(), "output": "centred logits", "norm": "l2->l2"}

    def details(self, arrays: Arrays) -> dict[str, Any]:
        """Quantiles of the norms, how many are zero, and the kind of gradient."""
        quantiles = np.quantile(arrays["norm"], (0.05, 0.5, 0.95, 1.0))
        return {
            "gradient": gradient_named(arrays["gradient"]),
            "norm_quantiles": dict(zip(("0.05", "0.5", "0.95", "1"), map(float, quantiles), strict=True)),
            "zero_gradients": int((arrays["norm"] < SMALLEST).sum()),
        }
