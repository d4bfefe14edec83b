"""What a suite may ask for: one line that names the limit and what raises it, before any work."""

import time

import pytest

from bench.errors import UserError
from bench.suite.load import load_suite


def refused(tiny, *said):
    started = time.perf_counter()
    with pytest.raises(UserError) as error:
        load_suite("tiny.toml")
    assert time.perf_counter() - started < 5
    lines = [str(problem) for problem in error.value.problems if all(word in str(problem) for word in said)]
    assert len(lines) == 1, error.value
    assert "\n" not in lines[0]


STEP = '{ use = "weight-noise", sigma = 0.3 }'
MATRIX = f"matrix = {{ epsilon = {[index / 1000 for index in range(1, 900)]}, steps = {list(range(1, 900))} }}"
COUNT = "evaluation = 150"
CASES = {
    "bytes": ("[data]", "#" + "x" * 2_000_000 + "\n[data]", ["tiny.toml: ", "bytes, more than 1000000", "SUITE_BYTES"]),
    "digits": (COUNT, f"evaluation = {'9' * 50}", ["data", "50 digits, more than 40", "CRBENCH_MAX_SUITE_DIGITS"]),
    "binary digits": ("sigma = 0.3", f"sigma = 0x{'f' * 5000}", ["variant", "digits, more than 40"]),
    "beyond Python": (COUNT, f"evaluation = {'9' * 5000}", ["more than 4300 digits", "PYTHONINTMAXSTRDIGITS"]),
    "depth": (
        COUNT,
        f"{COUNT}\n{'.'.join('a' * 300)} = 1",
        ["data", "levels, more than 32", "MAX_SUITE_DEPTH"],
    ),
    "deep lists": (COUNT, f"evaluation = {'[' * 200}{']' * 200}", ["data", "levels, more than 32"]),
    "steps": (f"[{STEP}]", f"[{', '.join([STEP] * 101)}]", ["variant[0].steps: 101 steps, more than 100", "MAX_STEPS"]),
    "matrix": (
        "epsilon = 0.05\nsteps = 3",
        MATRIX,
        ["metric[2].matrix: 808201 combinations, more than 1000"],
    ),
    "replicates": (
        "[data]",
        "replicates = 1000000000\n[data]",
        ["replicates: ", "cells, more than 100000"],
    ),
    "yardsticks": ("retrained = 4", "retrained = 1000000000", ["yardstick: 1000000000 networks, more than 1000"]),
}


@pytest.mark.parametrize(("old", "new", "said"), CASES.values(), ids=CASES)
def test_what_asks_for_too_much_is_refused_before_any_work(tiny, old, new, said):
    tiny.write(old, new)
    refused(tiny, *said)


def test_a_limit_can_be_raised(tiny, monkeypatch):
    tiny.write("retrained = 4", "retrained = 1001")
    refused(tiny, "1001 networks, more than 1000")
    monkeypatch.setenv("CRBENCH_MAX_YARDSTICKS", "1001")
    assert load_suite("tiny.toml").yardstick.retrained == 1001


def test_a_long_chain_of_suites(tiny):
    for index in range(40):
        (tiny.folder / f"s{index}.toml").write_text(f'extends = "s{index + 1}.toml"\n')
    (tiny.folder / "s40.toml").write_text(tiny.text)
    with pytest.raises(UserError, match="extends: 33 files that extend each other, more than 32"):
        load_suite("s0.toml")
    assert load_suite("s20.toml").name == "s20"


def test_a_mark_at_the_beginning_is_passed_over(tiny):
    """Some editors write one; it changes nothing."""
    (tiny.folder / "tiny.toml").write_text(tiny.text, encoding="utf-8-sig")
    assert load_suite("tiny.toml").document == load_suite_of(tiny).document


def load_suite_of(tiny):
    (tiny.folder / "plain.toml").write_text(tiny.text)
    return load_suite("plain.toml")
