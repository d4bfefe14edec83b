"""crbench: is a compressed neural network still the same function where trust matters?

Everything public is imported at its first use:

>>> import bench
>>> bench.PGD(epsilon=8 / 255).name
'adversarial.pgd'
>>> bench.onnx.load.__module__
'bench.onnx'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench import functional, onnx, stats
    from bench.api import Inputs, Study, diff, layers, load_suite, network, run
    from bench.errors import MissingExtra, UserError
    from bench.metrics.adversarial.pgd import ProjectedGradientDescent as PGD
    from bench.metrics.attribution.ig import IntegratedGradients
    from bench.metrics.base import Metric
    from bench.metrics.cost.cost import Cost
    from bench.metrics.fidelity.accuracy import Accuracy
    from bench.metrics.fidelity.predictions import Predictions
    from bench.metrics.lipschitz.local import LocalLipschitz
    from bench.metrics.uncertainty.calibration import Calibration
    from bench.metrics.values import Change, Derived, Mean, Proportion, Statistic
    from bench.probes.logits import Logits
    from bench.registry import parameters
    from bench.run_results import RunResults

__version__ = "0.2.0"
__all__ = [
    "PGD",
    "Accuracy",
    "Calibration",
    "Change",
    "Cost",
    "Derived",
    "Inputs",
    "IntegratedGradients",
    "LocalLipschitz",
    "Logits",
    "Mean",
    "Metric",
    "MissingExtra",
    "Predictions",
    "Proportion",
    "RunResults",
    "Statistic",
    "Study",
    "UserError",
    "__version__",
    "diff",
    "functional",
    "layers",
    "load_suite",
    "network",
    "onnx",
    "parameters",
    "run",
    "stats",
]

_MODULES: Final = ("functional", "onnx", "stats")
_OBJECTS: Final = {
    **dict.fromkeys(("Inputs", "Study", "diff", "layers", "load_suite", "network", "run"), "bench.api"),
    **dict.fromkeys(("MissingExtra", "UserError"), "bench.errors"),
    **dict.fromkeys(("Change", "Derived", "Mean", "Proportion", "Statistic"), "bench.metrics.values"),
    "Logits": "bench.probes.logits",
    "Metric": "bench.metrics.base",
    "RunResults": "bench.run_results",
    "parameters": "bench.registry",
}
_METRICS: Final = {
    "Accuracy": "fidelity.accuracy",
    "Calibration": "uncertainty.calibration",
    "Cost": "cost",
    "IntegratedGradients": "attribution.ig",
    "LocalLipschitz": "lipschitz.local",
    "PGD": "adversarial.pgd",
    "Predictions": "fidelity.predictions",
}


def __getattr__(name: str) -> Any:
    """Import what is public at its first use, so that ``crbench --help`` imports nothing heavy."""
    if name in _MODULES:
        return import_module(f"bench.{name}")
    if name in _OBJECTS:
        return getattr(import_module(_OBJECTS[name]), name)
    if name in _METRICS:
        return import_module("bench.metrics.base").metrics.get(_METRICS[name])
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
