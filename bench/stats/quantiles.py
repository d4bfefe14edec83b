"""Quantiles of the normal, Student's t and beta laws, from scipy.special (scipy.stats costs a second to import)."""

from __future__ import annotations

from math import sqrt


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal law.

    >>> round(normal_quantile(0.975), 4)
    1.96
    """
    from scipy.special import ndtri

    return float(ndtri(probability))


def normal_survival(z: float) -> float:
    """Probability that a standard normal variable exceeds z.

    >>> round(normal_survival(1.96), 4)
    0.025
    """
    from scipy.special import ndtr

    return float(ndtr(-z))


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t law with ``freedom`` degrees of freedom.

    >>> round(t_quantile(0.975, 3), 4)
    3.1824
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def t_survival(value: float, freedom: int) -> float:
    """P(T > value) of Student's t law.

    >>> round(t_survival(3.1824, 3), 4)
    0.025
    """
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def expanded_tail(tail: float, samples: int | None) -> float:
    """Tail probability at which to read a percentile interval so that it is as wide as Student's.

    Phi(-t(n-1) sqrt(n / (n - 1))): a bootstrap distribution is too narrow by sqrt((n - 1) / n) and has
    normal, not Student tails (Hesterberg 2015, arXiv 1411.5279). ``samples`` None or 1 leaves the tail.

    >>> round(expanded_tail(0.025, 20), 4), round(expanded_tail(0.025, 10**6), 4)
    (0.0159, 0.025)
    """
    if samples is None or samples < 2:
        return tail
    return normal_survival(-t_quantile(tail, samples - 1) * sqrt(samples / (samples - 1)))


def contracted_tail(tail: float, samples: int | None) -> float:
    """Inverse of ``expanded_tail``: what a bootstrap tail of this size is worth.

    >>> round(contracted_tail(expanded_tail(0.025, 20), 20), 6)
    0.025
    """
    if samples is None or samples < 2:
        return tail
    from scipy.special import stdtr

    return float(stdtr(samples - 1, normal_quantile(tail) * sqrt((samples - 1) / samples)))
