"""The rule that says who is most guilty."""

import numpy as np
import pytest

from bench.engine.layer_culprits.ranking import culprits, ranking
from bench.results.layers import ErrorFigures, LayerResult, NotFinite, Removed, Restored


def _row(name, removed=0.0, low=0.0, added=0.0, before=1.0, own=None):
    js = Removed(before=before, after=before - removed, removed=removed, ci=(low, removed))
    broken = None if own is None else NotFinite(samples=3, own=own)
    return _result(name, broken, _error(added), Restored(js=js))


def _alone(name, added=None):
    return _result(name, None, added, None)


def _error(relative_mse):
    return ErrorFigures(sqnr_db=None, cosine=None, relative_mse=relative_mse, identical=False)


def _result(name, not_finite, added, restored):
    """One layer, of which the rule reads four fields."""
    same = {"reference": None, "variant": None}
    return LayerResult(
        name=name, not_finite=not_finite, added=added, restored=restored, restored_reason=None, position=0,
        kind="linear", variant_name=name, operators=same, weights=same, before_activation=None, reason=None,
        divided_out=None, unclear=False, sqnr_db=None, cosine=None, relative_mse=None, identical=False, spread=None,
    )  # fmt: skip


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 1, 5, 2, 4]])
def test_groups_follow_each_other(order):
    rows = [
        _row("nan", own=True),
        _row("most", removed=0.5, low=0.4, added=0.001),
        _row("less", removed=0.2, low=0.1, added=0.9),
        _row("unsure", removed=0.7, low=-0.1, added=0.3),
        _row("tiny", removed=0.001, low=0.0005, added=0.2),
        _alone("compared", _error(0.1)),
        _alone("pruned"),
    ]
    names = [row.name for row in rows]
    assert ranking([rows[i] for i in order]) == names


def test_an_inherited_nan_is_no_guilt():
    assert ranking([_row("heir", own=False, added=0.1), _row("other", removed=0.5, low=0.3)]) == ["other", "heir"]


def test_equal_layers_keep_the_graphs_order():
    assert ranking([_row("a"), _row("b"), _row("c")]) == ["a", "b", "c"]


def test_an_error_beside_a_zero_reference_is_the_largest():
    rows = [_row("a", added=1e6), _alone("b", _error(None))]
    assert ranking(rows) == ["b", "a"]


def test_what_is_removed_counts_against_the_divergence():
    small = [_row("a", removed=1e-6, low=5e-7, added=0.1, before=1e-5), _row("b", added=0.5, before=1e-5)]
    assert ranking(small) == ["a", "b"]
    large = [_row("a", removed=1e-6, low=5e-7, added=0.1, before=1.0), _row("b", added=0.5, before=1.0)]
    assert ranking(large) == ["b", "a"]
    assert np.isfinite(small[0].restored.js.removed)


def test_culprits_are_those_that_are_shown_to_do_damage():
    rows = [_row("unsure", removed=0.7, low=-0.1, added=0.3), _row("less", removed=0.2, low=0.1), _row("nan", own=True)]
    assert culprits(rows) == ["nan", "less"]
    assert culprits([_alone("pruned"), _alone("compared", _error(0.1))]) == []


def test_what_rounding_does_is_no_guilt():
    rows = [_row("a", removed=1e-14, low=1e-15, before=2e-14, added=0.1), _row("b", added=0.5, before=2e-14)]
    assert (ranking(rows), culprits(rows)) == (["a", "b"], ["a"])
    assert (ranking(rows, 1e-12), culprits(rows, 1e-12)) == (["b", "a"], [])
