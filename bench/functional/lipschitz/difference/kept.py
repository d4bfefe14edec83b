"""Whether a network surely gives another one's class at every point of a region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from bench.canonical_form.graph import Graph
from bench.canonical_form.joint import with_rows
from bench.functional.lipschitz.difference.upper_bounds import Reach
from bench.functional.lipschitz.regions import Region
from bench.functional.lipschitz.relaxations.linear import linear_bounds

Float = NDArray[np.float64]
ROUNDING = 1e-12


def margin_rows(label: int, classes: int) -> Float:
    """The rows ``e_y − e_j`` of all j ≠ y, (classes − 1, classes).

    >>> margin_rows(1, 3).tolist()
    [[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0]]
    """
    rows = np.diag(np.full(classes, -1.0))
    rows[:, label] += 1.0
    return np.delete(rows, label, axis=0)


def least_margins(graph: Graph, region: Region, rows: Float) -> Float:
    """A lower end of each margin ``r · z`` of a network over a region: rows (m, classes) to (m,), by lines."""
    found = linear_bounds(with_rows(graph, torch.from_numpy(rows)), region)[-1]
    return found.low.numpy()


def class_kept(of_f: Float, of_g: Float, difference: Mapping[str, Reach]) -> bool:
    """Whether g surely gives class y at every point of the region, y the class that f gives at its centre.

    ``z_y − z_j`` of g is at least that of f less ``(e_y − e_j)ᵀ (f − g)``: the larger of ``m_j − D_j`` and g's own
    lower end must be above 0 for each j.

    Args:
        of_f: m_j, lower ends of f's margins over the region, (classes − 1,).
        of_g: those of g.
        difference: by method, where the margins of ``f − g`` lie; D_j is the least of their high ends.

    >>> found = {"a": Reach(np.array([-0.5]), np.array([0.5]))}
    >>> class_kept(np.array([1.0]), np.array([-1.0]), found), class_kept(np.array([0.4]), np.array([-1.0]), found)
    (True, False)
    """
    most = np.minimum.reduce([reach.high for reach in difference.values()], initial=np.inf)
    slack = ROUNDING * (np.abs(of_f) + np.where(np.isfinite(most), np.abs(most), 0.0))
    return bool((np.maximum(of_f - most - slack, of_g) > 0).all())
