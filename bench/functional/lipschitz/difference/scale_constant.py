"""How fast a difference can change between inputs that are not too near each other."""

from __future__ import annotations


def difference_at_scale(f: float, g: float, largest: float, r: float) -> float:
    """An upper bound of ``sup ‖(f − g)(x) − (f − g)(y)‖ / ‖x − y‖`` over pairs of a region with ``‖x − y‖ ≥ r``.

    ``min(L_r(f) + L_r(g), 2 D / r)``. The first holds since a difference changes no faster than both networks
    together, the second since it is never larger than D. Over all pairs the constant of a difference says nothing of
    how near two networks are: ``relu(x) − relu(x − e)`` has the constant 1 for every e > 0, however small, while it
    is never larger than e; so there is no bound here without a scale.

    Args:
        f: a certified constant of f, of all pairs or of those at least r apart, norms as in ``largest``.
        g: one of g.
        largest: D, a certified bound of ``sup ‖f − g‖`` over the region that both inputs lie in.
        r: least distance of a pair, in the input's units, above 0.

    Returns:
        The bound, rounded up; smaller is nearer.

    Raises:
        ValueError: r is not above 0, or a bound is negative or no number.

    >>> round(difference_at_scale(1.0, 1.0, 0.01, 0.1), 9), round(difference_at_scale(1.0, 1.0, 0.01, 0.001), 9)
    (0.2, 2.0)
    """
    if not r > 0:
        raise ValueError(f"a scale r of {r}; it must be above 0: at no distance a difference has no useful constant")
    if not min(f, g, largest) >= 0:
        raise ValueError(f"bounds of {f}, {g} and {largest}; each must be 0 or more")
    return min(f + g, 2 * largest / r) * (1 + 1e-12)
