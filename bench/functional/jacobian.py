"""Input Jacobians and their spectral norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.blas_threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

Float = NDArray[np.float64]

SMALLEST = 1e-12  # a norm below it counts as this much


def input_jacobian(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The Jacobian of the centred logits at every sample: x (n, ...) to (n, classes, inputs).

    ``J_ci = ∂(z_c − mean_k z_k) / ∂x_i``: one backward pass a class. The module must treat samples separately. Zero
    where the logits do not depend on the input.

    >>> import torch
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = linear.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> input_jacobian(linear, torch.zeros(1, 2)).tolist()
    [[[1.0, -2.0], [-1.0, 2.0]]]
    """
    jacobian = output_jacobian(module, x)
    return jacobian - jacobian.mean(dim=1, keepdim=True)


def output_jacobian(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The Jacobian of a function at every sample: x (n, ...) to (n, outputs, inputs), ``J_ci = ∂z_c / ∂x_i``.

    One backward pass an output. The function must treat samples separately. Zero where it does not depend on x.

    >>> import torch
    >>> output_jacobian(lambda x: x**2, torch.tensor([[2.0, 5.0]])).tolist()
    [[[4.0, 0.0], [0.0, 10.0]]]
    """
    import torch

    x = x.detach().clone().requires_grad_()
    out = function(x)
    outputs = out.shape[1]
    if not out.requires_grad:
        return torch.zeros(len(x), outputs, x[0].numel(), dtype=x.dtype)
    rows = [torch.autograd.grad(out[:, c].sum(), x, retain_graph=c + 1 < outputs)[0].flatten(1) for c in range(outputs)]
    return torch.stack(rows, dim=1).cpu()


def spectral_norms(matrices: NDArray[Any]) -> Float:
    """Largest singular value of each matrix (n, rows, columns): (n,), through the smaller Gram matrix in float64.

    ``√ λmax(A Aᵀ)``; the largest singular value keeps full relative precision on this way (the small ones do not).

    >>> spectral_norms(np.array([[[3.0, 0.0, 0.0], [0.0, 0.0, -4.0]]])).tolist()
    [4.0]
    """
    a = matrices.astype(np.float64)
    scale = np.abs(a).max(axis=(1, 2), initial=0.0)
    a = a / np.where(scale > 0, scale, 1.0)[:, None, None]
    if a.shape[1] > a.shape[2]:
        a = a.transpose(0, 2, 1)
    with one_thread():  # the last bits depend on the number of threads
        largest = np.linalg.eigvalsh(a @ a.transpose(0, 2, 1))[:, -1]
    return np.asarray(scale * np.sqrt(np.maximum(largest, 0.0)))


def jacobian_difference(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """``‖A − B‖₂`` of each pair of matrices (n, rows, columns): (n,), in float64.

    >>> jacobian_difference(np.array([[[3.0, 0.0]]]), np.array([[[0.0, 4.0]]])).tolist()
    [5.0]
    """
    return spectral_norms(a.astype(np.float64) - b)


def log_norms(norms: NDArray[Any]) -> Float:
    """Natural logarithm of norms (n,); below 1e-12 they count as 1e-12, so that it exists.

    >>> log_norms(np.array([1.0, 0.0])).round(3).tolist()
    [0.0, -27.631]
    """
    return np.asarray(np.log(np.maximum(norms, SMALLEST)), dtype=np.float64)
