"""The product of the layers' norms: the first bound of all, and mostly the loosest."""

from __future__ import annotations

import math
import time

from bench.functional.lipschitz.certificate import LayerNorm, LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain
from bench.functional.lipschitz.chain_bounds.composite import Composite, steepest
from bench.functional.lipschitz.chain_bounds.rounding import gamma
from bench.stats.blas_threads import one_thread


def product(chain: DenseChain, norm: Norm = "l2") -> LipschitzBound:
    """An upper bound on the global constant: ``∏ ‖W_i diag(c_{i−1})‖``, ``c = max(|α|, |β|)`` per neuron, c_0 = 1.

    l2 by the largest singular value, l∞ by row sums. For a single matrix it is the constant itself.

    >>> import numpy as np
    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, -4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(product(chain).value, 9), round(product(chain, "linf").value, 9)
    (5.0, 7.0)
    """
    started = time.perf_counter()
    layers, value = [], 1.0
    with one_thread():
        for number, weight in enumerate(chain.weights):
            factor = Composite.of(weight * steepest(chain.activations[number - 1]) if number else weight)
            ends = factor.upper(norm), factor.lower(norm)
            rule = "largest singular value" if norm == "l2" else "row sums"
            layers.append(LayerNorm(f"layer {number + 1}", ends[0], rule, ends[1]))
            value *= ends[0]
    value *= 1 + gamma(2 * len(layers))
    slack = math.expm1(sum(math.log(layer.upper / layer.lower) for layer in layers if layer.lower > 0))
    seconds = time.perf_counter() - started
    return LipschitzBound("product", "certified", value, norm, slack=slack, seconds=seconds, layers=tuple(layers))
