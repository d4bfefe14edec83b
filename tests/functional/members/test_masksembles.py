"""Masks of Masksembles: sizes, no unused channel, the overlap that the paper promises, and narrow layers."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import NotApplicable
from bench.functional.members.masksembles import (
    active_share,
    expected_overlap,
    kept_channels,
    masksembles,
    next_width,
    scale_of_overlap,
)
from bench.functional.members.overlap import mean_overlap, pairwise_overlap


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.0])
def test_the_mean_overlap_of_sixty_seeds_is_that_of_the_paper(scale):
    measured = np.mean([mean_overlap(masksembles(240, 4, scale, seed)) for seed in range(60)])
    assert measured == pytest.approx(expected_overlap(scale), abs=0.02)
    assert scale_of_overlap(expected_overlap(scale)) == pytest.approx(scale)


@pytest.mark.parametrize("n_masks", range(2, 9))
def test_every_width_has_its_masks_or_is_refused(n_masks):
    """Also of the widths at which the published generator raises: n=4, s=2 at 11 and 13, s=3 at 11, 12, 14, ..."""
    for scale in np.linspace(1.2, 6, 9):
        for channels in range(4, 65):
            masks = masksembles(channels, n_masks, scale, seed=channels)
            kept = round(channels / (scale * (1 - (1 - 1 / scale) ** n_masks)))
            assert masks.shape == (n_masks, channels)
            assert (masks.sum(axis=1) == kept).all()
            assert masks.any(axis=0).all()


def test_no_seed_leaves_a_channel_unused():
    for seed in range(200):
        masks = masksembles(12, 4, 6.0, seed)
        assert masks.any(axis=0).all()
        assert (masks.sum(axis=1) == 4).all()


def test_masks_belong_to_seed_and_layer():
    first = masksembles(64, 4, 2.0, 3, "conv1")
    assert (first == masksembles(64, 4, 2.0, 3, "conv1")).all()
    assert (first != masksembles(64, 4, 2.0, 4, "conv1")).any()
    assert (first != masksembles(64, 4, 2.0, 3, "conv2")).any()


def test_no_channel_is_favoured():
    used = np.mean([masksembles(20, 4, 3.0, seed).mean(axis=0) for seed in range(500)], axis=0)
    assert used == pytest.approx(kept_channels(20, 4, 3.0) / 20, abs=0.05)  # 5 standard errors


def test_a_width_that_cannot_is_refused_with_the_next_that_can():
    """Eight masks of one channel cannot use eleven; of three channels 2.502 rounds to all, so that masks are equal."""
    with pytest.raises(ValueError, match=r"11 channels cannot carry 8 masks of scale 100, which keep 1 each; .* is 12"):
        masksembles(11, 8, 100.0, 0)
    with pytest.raises(ValueError, match=r"3 channels .* the next width that can is 4$"):
        masksembles(3, 4, 1.2, 0)
    for n_masks in (2, 3, 5, 8):
        for scale in (1.001, 1.2, 3.0, 50.0, 1e6):
            for channels in (1, 2, 3, 9, 17, 100):
                able = next_width(channels, n_masks, scale)
                masks = masksembles(able, n_masks, scale, 0)
                assert masks.any(axis=0).all()
                assert not masks.all()
                for narrower in range(channels, min(able, channels + 40)):
                    with pytest.raises(ValueError, match=f"the next width that can is {able}$"):
                        masksembles(narrower, n_masks, scale, 0)


@pytest.mark.parametrize("asked", [(8, 1, 2.0), (8, 4, 1.0), (8, 4, 0.5), (8, 4, float("nan")), (0, 4, 2.0)])
def test_what_has_no_masks_is_refused(asked):
    with pytest.raises(ValueError, match="needed"):
        masksembles(*asked, 0)
    with pytest.raises(ValueError, match="so near to 1"):
        masksembles(8, 4, 1 + 1e-15, 0)


def test_the_share_of_two_masks_by_hand():
    assert active_share(2, 2.0) == pytest.approx(2 / 3)  # two masks of m of 2m positions: 3/2 m are used


def test_overlap_by_hand_and_bad_masks():
    masks = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=bool)
    assert pairwise_overlap(masks) == pytest.approx([1 / 3, 1, 1 / 3])
    with pytest.raises(NotApplicable, match="one member"):
        mean_overlap(masks[:1])
    for wrong in (masks.astype(float), masks[0], np.zeros((2, 3), dtype=bool)):
        with pytest.raises(ValueError, match="no member empty"):
            pairwise_overlap(wrong)
