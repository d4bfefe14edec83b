"""What restoring brings back, on logits by hand."""

import numpy as np
import pytest

from bench.engine.layer_culprits.output_damage import OutputDamage

RANDOM = np.random.default_rng(1)
REFERENCE = RANDOM.normal(size=(60, 4)) * 3
VARIANT = REFERENCE + RANDOM.normal(size=(60, 4))
LABELS = REFERENCE.argmax(axis=1)


def _js(a, b):
    p, q = (np.exp(z - z.max(axis=1, keepdims=True)) for z in (a, b))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    m = (p + q) / 2
    return ((p * np.log(p / m)).sum(axis=1) + (q * np.log(q / m)).sum(axis=1)) / 2


def test_figures_are_before_less_after():
    half = (REFERENCE + VARIANT) / 2
    found = OutputDamage(REFERENCE, VARIANT, LABELS).restored(half)
    before, after = _js(REFERENCE, VARIANT), _js(REFERENCE, half)
    assert found.js.before == pytest.approx(before.mean())
    assert found.js.after == pytest.approx(after.mean())
    assert found.js.removed == pytest.approx((before - after).mean())
    right = (VARIANT.argmax(axis=1) == LABELS).mean(), (half.argmax(axis=1) == LABELS).mean()
    assert found.accuracy.before == pytest.approx(1 - right[0])
    assert found.accuracy.removed == pytest.approx(right[1] - right[0])
    for figure in (found.js, found.accuracy, found.nll):
        assert figure.ci[0] <= figure.removed <= figure.ci[1]
        assert figure.ci[0] < figure.ci[1]


def test_a_layer_that_helps_has_an_interval_above_zero_and_its_mirror_below():
    good, bad = REFERENCE + 0.1 * (VARIANT - REFERENCE), REFERENCE + 3 * (VARIANT - REFERENCE)
    damage = OutputDamage(REFERENCE, VARIANT, LABELS)
    for figure in ("js", "nll"):
        assert getattr(damage.restored(good), figure).ci[0] > 0
        assert getattr(damage.restored(bad), figure).ci[1] < 0
    assert damage.restored(bad).accuracy.removed < 0


def test_samples_without_finite_logits_are_as_far_as_can_be():
    broken = REFERENCE.copy()
    broken[:15, 0] = np.nan
    damage = OutputDamage(REFERENCE, broken, LABELS)
    whole = damage.divergence()
    assert whole.js.estimate == pytest.approx(np.log(2) / 4)
    assert (whole.flips, whole.not_finite) == (0.25, 15)
    found = damage.restored(REFERENCE)
    assert found.js.after == 0
    assert found.accuracy.removed == pytest.approx(0.25)
    assert found.nll is None  # it does not exist


def test_without_labels_there_is_no_harm():
    restored = OutputDamage(REFERENCE, VARIANT, None).restored(REFERENCE)
    assert (restored.accuracy, restored.nll, restored.js.after) == (None, None, 0)


@pytest.mark.parametrize("count", [4, 5, 6, 8])
def test_no_interval_leaves_its_range(count):
    """A few samples of which most turned around: bootstraps know no end there, the divergence does."""
    reference = np.where(np.arange(2) == 0, 9.0, 0.0) * np.ones((count, 1))
    turned = np.arange(count) % 5 > 1
    variant = np.where(turned[:, None], reference[:, ::-1], reference + RANDOM.normal(scale=0.1, size=(count, 2)))
    for first, second in ((reference, variant), (variant, reference)):
        damage = OutputDamage(first, second, first.argmax(axis=1))
        low, high = damage.divergence().js.ci
        assert 0 <= low <= high <= np.log(2)
        for logits in (first, second[:, ::-1]):
            found = damage.restored(logits)
            for name, largest in (("js", np.log(2)), ("accuracy", 1.0)):
                assert -largest <= getattr(found, name).ci[0] <= getattr(found, name).ci[1] <= largest


def test_rounding_is_that_of_the_reference_run_another_way():
    damage = OutputDamage(REFERENCE, VARIANT, None)
    largest = np.abs(REFERENCE).max()
    assert damage.rounding(REFERENCE) == pytest.approx((1e-6 * largest) ** 2 / 8)
    again = REFERENCE + 1e-3 * RANDOM.normal(size=REFERENCE.shape)
    assert damage.rounding(again) == pytest.approx(4 * _js(REFERENCE, again).mean(), rel=1e-6)
    worst = REFERENCE + 1e-6 * largest * RANDOM.choice([-1, 1], size=REFERENCE.shape)  # the bound of the least
    assert OutputDamage(REFERENCE, worst, None).divergence().js.estimate <= damage.rounding(REFERENCE)
