"""The norm of the product of magnitudes: exact where no weight is negative; in l∞ never above the product."""

from __future__ import annotations

import time

import numpy as np

from bench.functional.lipschitz.certificate import LipschitzBound, Norm
from bench.functional.lipschitz.chain import DenseChain
from bench.functional.lipschitz.chain_bounds.composite import Composite, steepest
from bench.stats.blas_threads import one_thread


def absolute_product(chain: DenseChain, norm: Norm = "l2") -> LipschitzBound:
    """An upper bound on the global constant: ``‖ |W_{l+1}| diag(c_l) … diag(c_1) |W_1| ‖``, ``c = max(|α|, |β|)``.

    Differences obey ``|δz_{i+1}| ≤ |W_{i+1}| diag(c_i) |δz_i|`` entry by entry, and both norms are monotone. In l∞
    it is the smallest product that any rescaling of neurons gives; in l2 it is loose for weights of both signs.
    Source: Combettes, Pesquet 2020, arXiv 1903.01014 (non-negative networks).

    >>> from bench.functional.lipschitz.chain import relu
    >>> chain = DenseChain((np.eye(2), np.array([[3.0, 4.0]])), (np.zeros(2), np.zeros(1)), (relu(2),))
    >>> round(absolute_product(chain).value, 9)
    5.0
    """
    started = time.perf_counter()
    with one_thread():
        whole = Composite.of(np.abs(chain.weights[0]))
        for weight, activation in zip(chain.weights[1:], chain.activations, strict=True):
            whole = whole.then(np.abs(weight) * steepest(activation))
        value, below = whole.upper(norm), whole.lower(norm)
    slack = value / below - 1 if below > 0 else 0.0
    return LipschitzBound(
        "absolute-product", "certified", value, norm, slack=slack, seconds=time.perf_counter() - started
    )
