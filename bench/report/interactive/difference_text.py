"""The paired difference of two figures in words, and what it is a difference of."""

from __future__ import annotations

from bench.results import ValueResult
from bench.wording import difference, plain, title


def value_name(value: str, apart: str, metric: str) -> str:
    """A value, the parameters that tell its metric from others of the page, and the metric.

    >>> value_name("robust_error", "epsilon 0.1", "adversarial.pgd")
    'robust error (epsilon 0.1), adversarial.pgd'
    """
    return f"{title(value)} ({apart}), {plain(metric)}" if apart else f"{title(value)}, {plain(metric)}"


def difference_sentence(
    first: str,
    second: str,
    value: ValueResult,
    number: float,
    ci: tuple[float, float] | None,
    numerical_floor: float = 0.0,
) -> str:
    """How much worse the first is than the second in a sentence.

    Args:
        first: its name.
        second: the other's.
        value: the first one's, for its unit.
        number: harm of the first less harm of the second.
        ci: its paired interval.
        numerical_floor: how far arithmetic alone may move it from 0.

    >>> share = ValueResult(kind="quality", interval="score")
    >>> difference_sentence("ptq4", "ptq8", share, 0.061, (0.032, 0.09))
    'ptq4 is worse than ptq8 by 6.1 points [3.2, 9.0]'
    >>> difference_sentence("ptq4", "ptq8", share, 0.0, (-0.013, 0.013))
    'ptq4 and ptq8 cannot be told apart: 0.0 points [-1.3, 1.3]'
    >>> difference_sentence("ptq4", "fold", ValueResult(kind="quality", unit="nats"), 0.0, (0.0, 0.0))
    'ptq4 and fold: the same on every sample'
    """
    if 0 < numerical_floor >= abs(number):
        return f"{first} and {second}: the same within arithmetic"
    if number == 0 and ci == (0.0, 0.0):
        return f"{first} and {second}: the same on every sample"
    if ci is None:
        return f"{first} beside {second}: {difference(value, number, None)[0]}, no interval"
    if ci[0] <= 0 <= ci[1]:
        return f"{first} and {second} cannot be told apart: {' '.join(difference(value, number, ci))}"
    low, high = sorted(map(abs, ci))
    figures = " ".join(difference(value, abs(number), (low, high))).removeprefix("+")
    return f"{first} is {'worse' if number > 0 else 'better'} than {second} by {figures}"
