"""The search for natural images on which two networks part: limits, keys, budget, and a planted difference."""

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.attacks import difference_search
from bench.functional.attacks.difference_search import ChoiceOfKind, search_difference, total_variation
from bench.functional.attacks.natural_mutations import MUTATIONS, mutated, mutations_for, within_limits

NAMES = [kind.name for kind in MUTATIONS]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0.2, 0.7, (12, 1, 12, 12)).astype(np.float32)


IDS = tuple(f"i/{row}" for row in range(12))


def log_of(share):
    """Log-probabilities of two classes, the first with this share."""
    share = np.clip(np.asarray(share, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.log(np.stack([share, 1 - share], axis=1))


def planted(images):
    """Both say 0; the second doubts as an image brightens, and gives way at two thirds of the brightness allowed."""

    def scores(x):
        own = np.array([np.argmin(((each - images) ** 2).sum(axis=(1, 2, 3))) for each in x])
        brighter = (x - images[own]).mean(axis=(1, 2, 3))
        return log_of(np.full(len(x), 0.9)), log_of(0.9 - 0.4 * np.clip(brighter / 0.13, -1, 2))

    return scores


def test_guided_it_finds_a_planted_difference_more_often_than_at_random(images):
    found = {
        guided: int((search_difference(images, IDS, planted(images), queries=100, guided=guided).first_query > 0).sum())
        for guided in (True, False)
    }
    assert found[True] >= 6  # of 12
    assert found[False] <= found[True] / 3


def test_what_is_found_parts_the_networks_within_the_limits_and_is_told_as_it_was_made(images):
    scores = planted(images)
    found = search_difference(images, IDS, scores, queries=100, seed=1)
    parted = found.first_query > 0
    assert parted.sum() > 0
    first, second = scores(found.images)
    np.testing.assert_array_equal(first.argmax(axis=1) != second.argmax(axis=1), parted)
    np.testing.assert_allclose(found.difference, total_variation(first, second), atol=1e-12)
    assert (np.abs(found.shares).sum(axis=1) <= 1 + 1e-9).all()
    for row in range(len(images)):
        again = mutated(images[row], found.shares[row], MUTATIONS, words=(1, IDS[row]))
        np.testing.assert_array_equal(again, found.images[row])
    assert found.shares[parted, NAMES.index("brightness")].min() > 0.5


def test_each_image_has_its_own_search(images):
    rows = np.array([7, 2, 5])
    for guided in (True, False):
        whole = search_difference(images, IDS, planted(images), queries=15, guided=guided)
        part = search_difference(
            images[rows], tuple(IDS[row] for row in rows), planted(images), queries=15, guided=guided
        )
        for all_, own in zip(whole, part, strict=True):
            np.testing.assert_array_equal(all_[rows], own)


def test_both_walks_have_random_numbers_of_their_own(images):
    """With common ones the control would begin with the same mutation, and find what the search finds."""
    begun = [
        search_difference(images, IDS, planted(images), queries=1, guided=guided).shares for guided in (True, False)
    ]
    same = (begun[0] == begun[1]).all(axis=1) & begun[0].any(axis=1)
    assert begun[0].any()
    assert begun[1].any()
    assert not same.any()


@pytest.mark.parametrize("guided", [True, False])
def test_no_image_is_asked_more_often_than_the_budget_and_none_after_its_end(images, guided):
    asked = []
    scores = planted(images)

    def counting(x):
        asked.append(len(x))
        return scores(x)

    found = search_difference(images, IDS, counting, queries=30, guided=guided)
    ends = np.where(found.first_query > 0, found.first_query, 30)
    assert asked[0] == len(images)  # themselves
    assert asked[1:] == [int((ends >= query).sum()) for query in range(1, 31) if (ends >= query).any()]


def test_networks_that_agree_everywhere_are_never_parted_and_others_must_agree_at_first(images):
    found = search_difference(images, IDS, lambda x: (log_of(x.mean(axis=(1, 2, 3))),) * 2, queries=5)
    assert not found.first_query.any()
    np.testing.assert_array_equal(found.images, images)
    with pytest.raises(ValueError, match="12 of 12 images two classes"):
        search_difference(images, IDS, lambda x: (log_of(np.full(len(x), p)) for p in (0.9, 0.1)), queries=5)
    with pytest.raises(NotApplicable, match="need images"):
        search_difference(images.reshape(12, -1), IDS, planted(images), queries=5)
    none = search_difference(images[:0], (), planted(images), queries=5)
    assert none.images.shape == (0, 1, 12, 12)


def test_kinds_are_chosen_as_the_chain_says():
    """Detailed balance: in the long run a kind of rank k has weight ``(1 − p)^k``."""
    chain = ChoiceOfKind(4)
    for kind, helped in ((2, 9), (0, 6), (3, 3), (1, 0)):
        for turn in range(9):
            chain.learn(kind, turn < helped)
    random = np.random.default_rng(0)
    drawn = np.bincount([chain.draw(random) for _ in range(40000)], minlength=4) / 40000
    weights = 0.75 ** np.arange(4)
    np.testing.assert_allclose(drawn[[2, 0, 3, 1]], weights / weights.sum(), atol=0.01)


def test_limits_hold_whatever_is_asked():
    random = np.random.default_rng(0)
    signed = np.array([kind.signed for kind in MUTATIONS])
    for _ in range(300):
        total = random.uniform(0.2, 2.0)
        kept = within_limits(random.normal(size=len(MUTATIONS)), MUTATIONS, total)
        assert np.abs(kept).sum() <= total + 1e-12
        assert np.abs(kept).max() <= 1
        assert (kept[~signed] >= 0).all()
        np.testing.assert_allclose(within_limits(kept, MUTATIONS, total), kept, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_mutation_changes_the_image_more_the_stronger_it_is_and_not_at_all_at_0(name):
    grid = np.linspace(0, 1, 16)
    image = (0.2 + 0.6 * np.outer(np.sin(3 * grid) ** 2, grid))[None].astype(np.float32)
    shares = np.zeros(len(MUTATIONS))
    np.testing.assert_array_equal(mutated(image, shares, MUTATIONS, words=("a",)), image)
    sizes = []
    for share in (0.25, 0.5, 1.0):
        shares[NAMES.index(name)] = share
        changed = mutated(image, shares, MUTATIONS, words=("a",))
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        sizes.append(float(np.abs(changed - image).mean()))
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    in_other_units = mutated(3 * image - 1, shares, MUTATIONS, words=("a",), bounds=(-1.0, 2.0))
    np.testing.assert_allclose((in_other_units + 1) / 3, changed, atol=0.5 / 255 if name == "jpeg" else 1e-6)


def test_jpeg_is_left_out_of_images_that_it_does_not_know():
    assert [kind.name for kind in mutations_for((4, 8, 8))] == [name for name in NAMES if name != "jpeg"]
    assert mutations_for((3, 8, 8)) == MUTATIONS


def scripted(*steps):
    """Networks that give all images the same shares (of one, of the other) in the order of the questions."""
    left = iter(steps)
    return lambda x: tuple(log_of(np.full(len(x), share)) for share in next(left))


def test_the_image_that_parts_is_told_though_another_differed_more(images):
    scores = scripted((0.9, 0.9), (0.9, 0.55), (0.52, 0.48))
    found = search_difference(images, IDS, scores, queries=5)
    assert (found.first_query == 2).all()
    np.testing.assert_allclose(found.difference, 0.04)


def test_where_nothing_raises_the_difference_the_search_walks_on(images, monkeypatch):
    """On a plateau a mutation is laid over the last; one that lowers the difference is not kept."""
    asked = []

    def seen(image, shares, *rest, **named):
        asked.append(shares)
        return mutated(image, shares, *rest, **named)

    monkeypatch.setattr(difference_search, "mutated", seen)
    for later, most in ((0.7, 2), (0.8, 1)):  # beside .9: as far apart as at first, or less
        asked.clear()
        search_difference(images, IDS, scripted((0.9, 0.7), *[(0.9, later)] * 8), queries=8)
        laid = max(np.count_nonzero(shares) for shares in asked)
        assert laid == 1 if most == 1 else laid >= most


def test_a_kind_has_helped_where_the_difference_rose(images, monkeypatch):
    learnt = []
    monkeypatch.setattr(ChoiceOfKind, "learn", lambda self, kind, helped: learnt.append(bool(helped)))
    scores = scripted((0.9, 0.8), (0.9, 0.7), (0.9, 0.7), (0.9, 0.75), (0.9, 0.6))
    search_difference(images[:1], IDS[:1], scores, queries=4)
    assert learnt == [True, False, False, True]


@pytest.mark.parametrize(("name", "axis"), [("shift-down", 0), ("shift-right", 1)])
def test_a_shift_goes_where_its_name_says(name, axis):
    image = np.zeros((1, 20, 20), dtype=np.float32)
    image[0, 9:11, 9:11] = 1.0
    for share in (1.0, -0.5):
        shares = np.zeros(len(MUTATIONS))
        shares[NAMES.index(name)] = share
        moved = mutated(image, shares, MUTATIONS, words=("a",))[0].astype(np.float64)
        centre = [(moved.sum(axis=1 - each) * np.arange(20)).sum() / moved.sum() for each in (0, 1)]
        expected = [9.5, 9.5]
        expected[axis] += share * 0.1 * 20
        np.testing.assert_allclose(centre, expected, atol=1e-6)
