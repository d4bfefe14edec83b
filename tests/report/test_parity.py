from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.report.parity import parity_line, twins
from bench.results import Cell, Parity
from tests.report.sample import PARITY, ROUNDED

CELL = {"variant": "v", "target": "t", "metric": "m", "family": "adversarial", "status": "ok"}


def test_units_are_those_of_the_check():
    assert "3.2e-7 of the logit spread, same class on 64 of 64 samples" in parity_line(PARITY)
    assert "1.0 of the output's step, same class on 63 of 64 samples" in parity_line(ROUNDED)


def test_what_is_no_parity_is_refused():
    given = PARITY.model_dump()
    for broken in ({"unit": "metres"}, {"logit_difference": {"1": float("nan")}}, {"argmax_agreement": None}):
        with pytest.raises(ValidationError):
            Cell.model_validate({**CELL, "parity": {"variant": {**given, **broken}}})
    assert Cell.model_validate({**CELL, "parity": {"variant": given}}).parity.variant == PARITY


def test_every_twin_of_a_run_is_listed_once(sample_run):
    found = twins(sample_run.cells)
    assert found == [("reference (edge)", parity_line(PARITY)), ("fold (edge)", parity_line(ROUNDED))]
    other = sample_run.model_copy(deep=True)
    shorter = next(cell for cell in other.cells if cell.parity)
    shorter.parity = Parity(variant=ROUNDED.model_copy(update={"samples": 32}))
    assert len(twins(other.cells)) == 3  # a metric that checked fewer samples
