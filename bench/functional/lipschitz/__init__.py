"""Lipschitz constants: certified upper bounds, valid lower bounds, estimates; usable without the rest.

``canonical_form(module, samples)`` brings a torch module to affine maps and nonlinearities, ``lipschitz_bounds(graph)``
asks every method that applies, everywhere or on a region; ``difference_bounds(f, g, region)`` bounds how far two
networks are apart on one. Whatever needs torch is imported at its first use.

>>> from bench.functional import lipschitz
>>> sorted(set(lipschitz.__all__) - set(dir(lipschitz)))
[]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bench.functional.lipschitz.certificate import LayerNorm, LipschitzBound, best
from bench.functional.lipschitz.chain import Activation, DenseChain
from bench.functional.lipschitz.difference.bound import DifferenceBound
from bench.functional.lipschitz.regions import Ball, Box

if TYPE_CHECKING:
    from bench.canonical_form.trace import canonical_form
    from bench.functional.lipschitz.chain_bounds.enumeration import constant
    from bench.functional.lipschitz.chain_bounds.full_diagonal import full_diagonal
    from bench.functional.lipschitz.difference.methods import difference_bounds
    from bench.functional.lipschitz.difference.scale_constant import difference_at_scale
    from bench.functional.lipschitz.graph_bounds.clever import clever
    from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
    from bench.functional.lipschitz.graph_bounds.local_constants import local_constants
    from bench.functional.lipschitz.graph_bounds.margins import pair_constants
    from bench.functional.lipschitz.methods import METHODS, lipschitz_bounds
    from bench.functional.lipschitz.quantised_bounds.rounding_error import RoundingError, rounding_error
    from bench.functional.lipschitz.quantised_bounds.scale import affine_gain, scale_bound
    from bench.functional.lipschitz.quantised_bounds.scale_secants import scale_secants
    from bench.functional.lipschitz.quantised_bounds.surrogate_network import surrogate_network
    from bench.functional.lipschitz.relaxations.intervals import interval_bounds
    from bench.functional.lipschitz.relaxations.linear import linear_bounds

LATER: Final = {
    "METHODS": "bench.functional.lipschitz.methods",
    "RoundingError": "bench.functional.lipschitz.quantised_bounds.rounding_error",
    "affine_gain": "bench.functional.lipschitz.quantised_bounds.scale",
    "canonical_form": "bench.canonical_form.trace",
    "clever": "bench.functional.lipschitz.graph_bounds.clever",
    "constant": "bench.functional.lipschitz.chain_bounds.enumeration",
    "dense_chain": "bench.functional.lipschitz.graph_bounds.dense_chain",
    "difference_at_scale": "bench.functional.lipschitz.difference.scale_constant",
    "difference_bounds": "bench.functional.lipschitz.difference.methods",
    "full_diagonal": "bench.functional.lipschitz.chain_bounds.full_diagonal",
    "interval_bounds": "bench.functional.lipschitz.relaxations.intervals",
    "linear_bounds": "bench.functional.lipschitz.relaxations.linear",
    "lipschitz_bounds": "bench.functional.lipschitz.methods",
    "local_constants": "bench.functional.lipschitz.graph_bounds.local_constants",
    "pair_constants": "bench.functional.lipschitz.graph_bounds.margins",
    "rounding_error": "bench.functional.lipschitz.quantised_bounds.rounding_error",
    "scale_bound": "bench.functional.lipschitz.quantised_bounds.scale",
    "scale_secants": "bench.functional.lipschitz.quantised_bounds.scale_secants",
    "surrogate_network": "bench.functional.lipschitz.quantised_bounds.surrogate_network",
}
__all__ = [
    "METHODS",
    "Activation",
    "Ball",
    "Box",
    "DenseChain",
    "DifferenceBound",
    "LayerNorm",
    "LipschitzBound",
    "RoundingError",
    "affine_gain",
    "best",
    "canonical_form",
    "clever",
    "constant",
    "dense_chain",
    "difference_at_scale",
    "difference_bounds",
    "full_diagonal",
    "interval_bounds",
    "linear_bounds",
    "lipschitz_bounds",
    "local_constants",
    "pair_constants",
    "rounding_error",
    "scale_bound",
    "scale_secants",
    "surrogate_network",
]


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})
