"""The details of attacks on the difference, from arrays of which each figure can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.adversarial.difference import DifferenceOfNetworks
from bench.metrics.adversarial.difference_search import DifferenceSearchOfNetworks

CC, CW, WC, WW = range(4)


def test_the_details_of_the_attack_by_hand() -> None:
    n = 8  # six are started
    arrays = {
        "clean_outcome": np.array([CC] * 6 + [CW, WC]),
        "started": np.array([1] * 6 + [0, 0]),
        "joint_any": np.array([[1, 1, 0]] * 3 + [[1, 0, 0]] * 1 + [[0, 0, 1]] * 1 + [[0, 0, 0]] * 3),
        "joint_last": np.array([[1, 0, 0]] * 2 + [[0, 0, 0]] * 6),
        "first_step": np.array([[2, 1, 0], [4, 3, 0], [6, 5, 0], [8, 0, 0], [0, 0, 7]] + [[0, 0, 0]] * 3),
        "outcome_last": np.array([[CW, CC, CC]] * 2 + [[WW, CC, CC]] * 4 + [[CW] * 3, [WC] * 3]),
        "confidence_change": np.tile(np.array([-0.1, -0.4]), (n, 3, 1)),
        "zero_gradient": np.array([[1, 0, 0]] * 3 + [[0, 0, 0]] * 5),
        "dissimilarity": np.array([[0.3, 0.2, 0.1]] * 6 + [[0.0] * 3] * 2),
    }
    metric = DifferenceOfNetworks(epsilon=0.1)
    told = metric.details(arrays)
    assert (told["started"], told["clean"]) == (6, {"CC": 6, "CW": 1, "WC": 1, "WW": 0})
    assert {name: told[name]["joint_success"]["events"] for name in metric.methods} == {"diva": 4, "pgd": 3, "noise": 1}
    assert (told["diva"]["joint_success"]["share"], told["diva"]["joint_success_last"]["share"]) == (4 / 6, 2 / 6)
    assert told["pgd"]["joint_success_last"]["events"] == 0
    assert told["diva"]["outcomes_last"] == {"CC": 0, "CW": 2, "WC": 0, "WW": 4}
    assert told["diva"]["confidence_change"] == pytest.approx({"reference": -0.1, "variant": -0.4})
    assert (told["diva"]["zero_gradient_share"], told["pgd"]["zero_gradient_share"]) == (0.5, 0.0)
    assert (told["diva"]["median_step"], told["pgd"]["median_step"], told["noise"]["median_step"]) == (5, 3, 7)
    assert told["diva"]["dssim"] == pytest.approx(0.3)
    assert (told["diva_over_pgd"]["ratio"], told["diva_over_noise"]["ratio"]) == (4 / 3, 4)
    derived = {each.name: each for each in metric.derived}
    assert derived["evaded_last"].of == "joint_last"
    apart = derived["apart"].of
    assert apart == ("joint_any", "clean_outcome")
    found = derived["apart"].function(arrays["joint_any"], arrays["clean_outcome"])
    assert found.tolist() == [1, 1, 1, 1, 0, 0, 1, 0]  # the last one's reference is wrong itself


def test_a_share_has_an_interval_from_ten_events_of_either_kind_on() -> None:
    _, success, _ = DifferenceOfNetworks(epsilon=0.1).values
    for events, others, told in ((10, 10, False), (9, 30, True), (30, 9, True)):
        arrays = {"evaded": np.r_[np.ones(events), np.zeros(others)], "started": np.ones(events + others)}
        assert bool(success.without_interval(arrays)) is told


def test_the_details_of_the_search_by_hand() -> None:
    arrays = {
        "clean_outcome": np.array([CC] * 6 + [CW, WC, WW]),
        "started": np.array([1] * 6 + [0] * 3),
        "parted": np.array([[1, 1], [1, 0], [1, 0], [0, 1], [0, 0], [0, 0]] + [[0, 0]] * 3),
        "first_query": np.array([[2, 9], [4, 0], [6, 0], [0, 5], [0, 0], [0, 0]] + [[0, 0]] * 3),
        "outcome": np.array([[CW, WC], [WC, CC], [CW, CC], [CC, WW], [CC, CC], [CC, CC]] + [[WW, WW]] * 3),
        "strengths": np.array([[0.2, -0.4], [0.4, -0.2], [0.6, 0.0]] + [[0.9, 0.9]] * 3 + [[0.0, 0.0]] * 3),
    }
    metric = DifferenceSearchOfNetworks()
    told = metric.details(arrays)
    assert (told["started"], told["guided"]["found"]["events"], told["random"]["found"]["events"]) == (6, 3, 2)
    assert told["guided"]["outcomes"] == {"CC": 0, "CW": 2, "WC": 1, "WW": 0}
    assert told["random"]["outcomes"] == {"CC": 0, "CW": 0, "WC": 1, "WW": 1}
    assert next(iter(told["guided"]["queries"].values())) == 4
    assert told["guided_less_random"]["difference"] == pytest.approx(1 / 6)
    low, high = told["guided_less_random"]["ci"]
    assert low < 1 / 6 < high
    assert told["guided_over_random"]["ratio"] == 1.5
    assert told["mean_strength"] == [0.4, 0.2]  # of the three that the guided walk parted
    apart = {each.name: each for each in metric.derived}["apart"]
    assert apart.function(arrays["parted"], arrays["clean_outcome"]).tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 0]
