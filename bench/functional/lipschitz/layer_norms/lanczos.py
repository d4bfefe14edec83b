"""Lower ends of a linear layer's spectral norm, reached on the layer itself by Lanczos iteration."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from bench.functional.lipschitz.layer_norms.rounding import finite_array, inward
from bench.stats.blas_threads import one_thread
from bench.stats.streams import generator

if TYPE_CHECKING:
    import torch

Float: TypeAlias = NDArray[np.float64]
Map: TypeAlias = Callable[[Float], Float]

STREAM = "lipschitz.lanczos"  # label of the random start
SLACK = 1e-9  # relative
TOLERANCE = 1e-5  # residual of AᵀA's eigenvector, relative to the eigenvalue, at which the iteration stops
VECTORS = 20  # that the iteration holds


def lanczos_lower(
    apply: Map, adjoint: Map, shape: tuple[int, ...], restarts: int = 100, seed: int = 0, slack: float = SLACK
) -> float:
    """A lower end of ``‖A‖₂``: the largest ``‖A v‖ / ‖v‖`` over all vectors v that a Lanczos iteration on AᵀA tries.

    Power iteration ``v ← Aᵀ A v`` tries one direction at a time; Lanczos iteration (ARPACK) takes the best one in the
    space of all of them, and needs far fewer products where the largest singular values lie close. Each quotient is at
    or below the norm, converged or not, whatever ``adjoint`` answers. It is lowered by ``slack``: rounding changes A v
    by at most k u ‖|A|‖₂ ‖v‖ with k terms in a sum, and ``‖|A|‖₂ ≤ √r ‖A‖₂``, r the rank: 1e-9 suffices for k √r up to
    9 million.

    Args:
        apply: ``v ↦ A v`` on float64 arrays of ``shape``; linear, without bias.
        adjoint: ``u ↦ Aᵀ u``.
        shape: Of the input.
        restarts: At most so many, each of about 20 products.
        seed: Of the random start.
        slack: Relative, taken off.

    Raises:
        ValueError: a map answers other numbers than finite float64.

    >>> matrix = np.array([[3.0, 0.0], [4.0, 0.0]])
    >>> found = lanczos_lower(lambda v: matrix @ v, lambda u: matrix.T @ u, (2,))
    >>> found <= 5.0, round(found, 6)
    (True, 5.0)
    """
    best, size = 0.0, prod(shape)

    def product(v: Float) -> Float:
        nonlocal best
        v = np.ascontiguousarray(v, dtype=np.float64).reshape(shape)
        u = _checked(apply(v), "the map")
        best = max(best, float(np.linalg.norm(u.ravel()) / np.linalg.norm(v.ravel())))
        return _checked(adjoint(u), "its adjoint").ravel()

    start = generator(STREAM, seed).normal(size=size)
    with one_thread():
        product(start)
        if best == 0:  # the zero map: a random vector is in no smaller null space
            return 0.0
        if size > VECTORS:
            operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
            try:
                vectors = eigsh(operator, k=1, ncv=VECTORS, v0=start, maxiter=restarts, tol=TOLERANCE)[1]
            except ArpackError as error:
                vectors = getattr(error, "eigenvectors", np.empty((size, 0)))
        else:
            gram = np.stack([product(one) for one in np.eye(size)])
            vectors = np.linalg.eigh((gram + gram.T) / 2)[1][:, -1:]
        if vectors.size:
            product(vectors[:, 0])
    return inward(best, slack)


def convolution_lower(
    kernel: Any,
    size: tuple[int, ...],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    seed: int = 0,
) -> float:
    """A lower end of the spectral norm of one convolution with zero padding, by torch's own operator in float64.

    Arguments as in ``torch.nn.functional.conv1d`` to ``conv3d``: kernel (outputs, inputs / groups, taps ...); the size
    is that of the input. Range [0, ‖A‖₂].

    Raises:
        ValueError: a number of the kernel is NaN or infinite.

    >>> found = convolution_lower(np.array([[[1.0, -1.0]]]), (3,))
    >>> found <= 3**0.5, round(found, 6)
    (True, 1.732051)
    """
    import torch

    weight = torch.from_numpy(finite_array(kernel, "kernel"))
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[len(size) - 1]

    def layer(x: torch.Tensor) -> torch.Tensor:
        return convolve(x[None], weight, None, stride, padding, dilation, groups)[0]

    shape = (weight.shape[1] * groups, *size)
    return lanczos_lower(*torch_operator(layer, shape), shape, seed=seed)


def torch_operator(layer: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> tuple[Map, Map]:
    """What ``lanczos_lower`` asks, of a torch function that is affine: its linear part, and the adjoint by autograd.

    The linear part is the adjoint's own adjoint, so no bias is subtracted; both act on float64. A layer that is not
    affine (max pooling, an activation) gives its derivative at 0.

    >>> import torch
    >>> apply, adjoint = torch_operator(lambda x: 2 * x.sum() + 1, (3,))
    >>> float(apply(np.ones(3))), adjoint(np.array(1.0)).tolist()
    (6.0, [2.0, 2.0, 2.0])
    """
    import torch

    with torch.enable_grad():
        x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        y = layer(x)
        weights = torch.zeros_like(y, requires_grad=True)
        (pulled,) = torch.autograd.grad(y, x, weights, create_graph=True)

    def apply(v: Float) -> Float:
        (pushed,) = torch.autograd.grad(pulled, weights, torch.from_numpy(v), retain_graph=True)
        return np.asarray(pushed.numpy())

    def adjoint(u: Float) -> Float:
        (found,) = torch.autograd.grad(y, x, torch.from_numpy(u), retain_graph=True)
        return np.asarray(found.numpy())

    return apply, adjoint


def _checked(values: Any, where: str) -> Float:
    array = np.asarray(values)
    if array.dtype != np.float64:
        raise ValueError(f"{where} answers {array.dtype}; float64 is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{where} answers NaN or infinity; finite numbers are needed")
    return array
