"""The rule that ranks layers by guilt, on their results alone."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.layers import LayerResult

RULE = (
    "first layers that make NaN or infinite values out of finite ones, in their order; then layers whose restoring "
    "removes a hundredth of the divergence or more, with an interval above 0, and more than rounding does, by how "
    "much; then all others by the error they add themselves; last those that cannot be compared"
)
SMALLEST = 0.01  # share of the divergence below which what restoring removes counts as nothing


def ranking(rows: Sequence[LayerResult], rounding: float = 0.0) -> list[str]:
    """Names of layers, most guilty first.

    1. Layers whose outputs are not finite although what they read is: in the order of the graph.
    2. Layers whose restoring removes Jensen-Shannon divergence, at least a hundredth of it and with an interval wholly
       above 0, and more than ``rounding``, which float arithmetic alone brings about: largest first.
    3. All others by the relative error that they add on the variant's own inputs, largest first: what restoring them
       removes ties at nothing. So it is where faults mask each other, since with one of them restored the other stays.
    4. What cannot be compared, in the order of the graph.

    >>> from bench.results.layers import ErrorFigures, Removed, Restored
    >>> row = lambda name, low, removed, added: LayerResult.model_construct(
    ...     name=name, not_finite=None,
    ...     added=ErrorFigures(sqnr_db=None, cosine=None, relative_mse=added, identical=False),
    ...     restored=Restored(js=Removed(before=1.0, after=1.0 - removed, removed=removed, ci=(low, removed))))
    >>> ranking([row("a", -0.1, 0.0, 0.5), row("b", 0.1, 0.2, 0.01), row("c", -0.1, 0.3, 0.7)])
    ['b', 'c', 'a']
    """
    numbered = sorted(enumerate(rows), key=lambda item: (*_key(item[1], rounding), item[0]))
    return [row.name for _, row in numbered]


def culprits(rows: Sequence[LayerResult], rounding: float = 0.0) -> list[str]:
    """Names of the layers of the first two kinds, most guilty first: those that are shown to do damage by themselves.

    >>> from bench.results.layers import Removed, Restored
    >>> tiny = Restored(js=Removed(before=1e-14, after=0.0, removed=1e-14, ci=(1e-15, 1e-13)))
    >>> row = LayerResult.model_construct(name="a", not_finite=None, added=None, restored=tiny)
    >>> culprits([row]), culprits([row], rounding=1e-12)
    (['a'], [])
    """
    guilty = {row.name for row in rows if _key(row, rounding)[0] < 2}
    return [name for name in ranking(rows, rounding) if name in guilty]


def _key(row: LayerResult, rounding: float) -> tuple[int, float]:
    if row.not_finite is not None and row.not_finite.own:
        return 0, 0.0
    js = None if row.restored is None else row.restored.js
    if js is not None and (js.ci[0] or 0.0) > 0 and js.removed >= SMALLEST * js.before and js.removed > rounding:
        return 1, -js.removed
    if row.added is not None:
        # an error beside a reference of zero has no finite ratio and is the largest
        return 2, -float("inf") if row.added.relative_mse is None else -row.added.relative_mse
    return 3, 0.0
