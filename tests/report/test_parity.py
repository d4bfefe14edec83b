from __future__ import annotations

import pytest

from bench.report.parity import parity_line, twins
from tests.report.sample import PARITY, ROUNDED


def test_units_are_those_of_the_check():
    assert "3.2e-7 of the logit spread, same class on 64 of 64 samples" in parity_line(PARITY)
    assert "1.0 of the output's step, same class on 63 of 64 samples" in parity_line(ROUNDED)


@pytest.mark.parametrize(
    "figures",
    [
        None,
        "text",
        {},
        PARITY | {"logit_difference": None},
        PARITY | {"logit_difference": {"1": float("nan")}},
        PARITY | {"samples": "64"},
        PARITY | {"argmax_agreement": None},
    ],
)
def test_what_is_not_there_is_said(figures):
    assert parity_line(figures) == "no figures"


def test_every_twin_of_a_run_is_listed_once(sample_run):
    found = twins(sample_run.cells)
    assert found == [("reference (edge)", parity_line(PARITY)), ("fold (edge)", parity_line(ROUNDED))]
    other = sample_run.model_copy(deep=True)
    shorter = next(cell for cell in other.cells if cell.parity)
    shorter.parity = {"variant": ROUNDED | {"samples": 32}}
    assert len(twins(other.cells)) == 3  # a metric that checked fewer samples
