"""What every corruption keeps to."""

import numpy as np
import pytest

from bench.errors import UserError
from bench.functional.corruptions.base import corrupt, corruptions

KINDS = corruptions.names()
RANDOM = {"gaussian-noise", "shot-noise", "impulse-noise", "motion-blur", "shift", "rotation"}
STEPWISE = {"jpeg", "pixelate", "impulse-noise", "shot-noise"}  # no limit of small steps: qualities, blocks, events


def images(n=8, channels=1, height=12, width=12, seed=0):
    """Smooth images in [0, 1], so that blurs and shifts by a part of a pixel move them little."""
    random = np.random.default_rng(seed)
    down, right = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    waves = random.uniform(2, 8, (n, channels, 2, 1, 1)) / max(height, width)
    phase = random.uniform(0, 6, (n, channels, 1, 1))
    return (0.5 + 0.45 * np.sin(waves[:, :, 0] * down + waves[:, :, 1] * right + phase)).astype(np.float32)


def named(n):
    return tuple(f"sample/{row}" for row in range(n))


def severe(kind, level=2):
    return corruptions.get(kind).severities[level]


def test_there_are_ten_or_more_with_five_rising_severities():
    assert len(KINDS) >= 10
    for kind in KINDS:
        corruption = corruptions.get(kind)
        assert len(corruption.severities) == 5
        assert 0 < corruption.severities[0]
        assert (np.diff(corruption.severities) > 0).all()
        assert corruption.least <= 0 < corruption.severities[-1] <= corruption.most
        assert corruption.unit


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.1, 2.6)])
def test_strength_zero_is_the_image_and_bounds_are_kept(kind, bounds):
    low, high = np.float32(bounds)
    x = (low + (high - low) * images(4)).clip(low, high)
    np.testing.assert_array_equal(corrupt(x, kind, 0.0, named(4), bounds=bounds), x)
    for strength in corruptions.get(kind).severities:
        found = corrupt(x, kind, strength, named(4), bounds=bounds)
        assert found.shape == x.shape
        assert found.dtype == np.float32
        assert found.min() >= low
        assert found.max() <= high
        assert (found != x).any()


@pytest.mark.parametrize("kind", KINDS)
def test_strengths_are_in_units_of_the_span(kind):
    x = np.rint(images(4) * 255).astype(np.float32) / 255
    plain = corrupt(x, kind, severe(kind), named(4))
    scaled = corrupt(10 * x - 3, kind, severe(kind), named(4), bounds=(-3.0, 7.0))
    if kind == "shot-noise":  # float32 moves the expected counts a little, and a count may tip
        assert np.mean(np.abs((scaled + 3) / 10 - plain) > 1e-5) < 0.02
    else:
        np.testing.assert_allclose((scaled + 3) / 10, plain, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_corrupted_alike_in_any_company(kind):
    x, ids = images(8), named(8)
    whole = corrupt(x, kind, severe(kind), ids)
    order = np.array([6, 1, 3])
    some = corrupt(x[order], kind, severe(kind), [ids[row] for row in order])
    np.testing.assert_array_equal(some, whole[order])
    strengths = np.array(corruptions.get(kind).severities)[[0, 4, 2]]
    each = [corrupt(x[[row]], kind, strength, [ids[row]])[0] for row, strength in enumerate(strengths)]
    np.testing.assert_array_equal(corrupt(x[:3], kind, strengths, ids[:3]), each)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_and_id_choose_the_random_numbers_and_nothing_else_does(kind):
    x = np.repeat(images(1), 12, axis=0)
    state = np.random.get_state()[1].copy()
    first = corrupt(x, kind, severe(kind), named(12), seed=1)
    np.testing.assert_array_equal(first, corrupt(x, kind, severe(kind), named(12), seed=1))
    other = corrupt(x, kind, severe(kind), named(12), seed=2)
    assert (len(np.unique(first, axis=0)) > 1) == (kind in RANDOM)
    assert (first != other).any() == (kind in RANDOM)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - STEPWISE))
def test_a_little_more_strength_changes_little(kind):
    x = images(6)
    for strength in (0.0, severe(kind, 0), severe(kind, 3)):
        more = strength + 1e-4 * severe(kind)
        moved = corrupt(x, kind, more, named(6)) - corrupt(x, kind, strength, named(6))
        assert 0 < np.abs(moved).max() < 2e-3


@pytest.mark.parametrize("kind", KINDS)
def test_more_strength_leads_further_from_the_image(kind):
    x = images(40, height=28, width=28, seed=1)
    far = [np.abs(corrupt(x, kind, s, named(40)) - x).mean() for s in (0.0, *corruptions.get(kind).severities)]
    assert (np.diff(far) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 3)])
def test_images_of_any_shape(kind, shape):
    x = images(3, 3, *shape)
    for strength in (*corruptions.get(kind).severities, min(1.0, corruptions.get(kind).most)):
        found = corrupt(x, kind, strength, named(3))
        assert found.shape == x.shape
        assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gaussian-noise", "shot-noise", "impulse-noise", "brightness"}))
def test_what_adds_no_light_leaves_a_plain_image_alone(kind):
    x = np.full((2, 3, 9, 9), 102 / 255, dtype=np.float32)
    for strength in corruptions.get(kind).severities:
        np.testing.assert_allclose(corrupt(x, kind, strength, named(2)), x, atol=0.05 if kind == "jpeg" else 1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((2, 1, 4, 4), 1.5)}, r"pixels from 1\.5 to 1\.5 lie outside the bounds 0 to 1"),
        ({"x": np.full((2, 1, 4, 4), np.nan)}, "lie outside the bounds"),
        ({"x": np.zeros((2, 16))}, r"needs images \(channels, height, width\); samples have shape \(16,\)"),
        ({"x": np.zeros((2, 4, 4, 4)), "kind": "jpeg"}, "jpeg knows images of 1 or 3 channels; these have 4"),
        ({"strength": -0.1}, r"shot-noise of strength -0\.1: give 0 to inf \(standard deviation"),
        ({"strength": np.nan}, "give 0 to inf"),
        ({"kind": "pixelate", "strength": 1.5}, "give 0 to 1"),
        ({"ids": ("a",)}, "1 ids for 2 images"),
        ({"strength": np.ones(3)}, "broadcast"),
    ],
)
def test_what_it_refuses(change, message):
    given = {"x": np.zeros((2, 1, 4, 4)), "kind": "shot-noise", "strength": 0.1, "ids": named(2), **change}
    with pytest.raises(ValueError, match=message):
        corrupt(**given)


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="unknown corruption 'rotatoin'; did you mean 'rotation'"):
        corrupt(images(1), "rotatoin", 1.0, named(1))


def test_no_image_is_no_fault():
    assert corrupt(np.zeros((0, 1, 4, 4), np.float32), "rotation", 3.0, ()).shape == (0, 1, 4, 4)
