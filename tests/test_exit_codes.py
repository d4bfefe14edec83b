from __future__ import annotations

import itertools

import pytest

from bench.exit_codes import WORST_FIRST, ExitCode, worst


def test_the_numbers_are_those_of_the_contract() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "PASS": 0, "REGRESSION": 1, "USAGE": 2, "INCOMPLETE": 3, "INTERNAL": 4,
    }  # fmt: skip
    assert sorted(WORST_FIRST) == sorted(ExitCode)


@pytest.mark.parametrize("codes", list(itertools.permutations(ExitCode, 2)))
def test_where_several_hold_4_goes_before_2_3_and_1(codes: tuple[ExitCode, ExitCode]) -> None:
    assert worst(codes) == next(code for code in (4, 2, 3, 1, 0) if code in codes)


def test_nothing_is_a_pass() -> None:
    assert worst([]) == ExitCode.PASS
