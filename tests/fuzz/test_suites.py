"""Damaged suites: an error in words, or a suite that holds what its text says, number by number."""

import tomllib

import pytest

from bench.suite.load import load_suite
from bench.suite.plan_text import describe_suite
from bench.suite.tables import DataTable, YardstickTable
from tests.conftest import TINY
from tests.fuzz.damage import PARTS, answer, generator, one_byte, seeds, torn

MORE = """
[[metric]]
use = "uncertainty.calibration"
gate = [{ value = "nll", max_harm = 0.5 }]
"""
WHOLE = (TINY + MORE).encode()
LONG = b'"' + b"a" * 5000 + b'"'
VALUES = (
    b"9" * 5000, b"9" * 41, b"-1", b"1e999", b"nan", b"inf", b"0x" + b"f" * 4000, b"true", b'""', b"[]", b"{}", LONG,
    b"[" * 50 + b"]" * 50, b"1979-05-27", b"07:32:00", b"1.5", b"10000000000", b'"\\u0000"', b"{ a.b.c.d.e = 1 }",
    b"-0.0", b"1_0",
)  # fmt: skip
LINES = (
    b".".join([b"a"] * 500) + b" = 1", b"replicates = 1000000000", b"seed = 18446744073709551616", b"[data]",
    b"[" + b"x." * 400 + b"y]", b"name = '../../up'", b"name = 'tiny'", b"[[metric]]\nuse = 'cost'", b"[[variant]]",
    b"extends = 'suite.toml'",
    b"not_applicable = ['*']", b"extends = '/dev/zero'", b"extends = 'a\\u0000b'", b'extends = "a\\u0000b"',
)  # fmt: skip


def rewritten(whole, rng):
    """Another value for a key, a line more, a line less, or two lines that changed places."""
    lines = whole.split(b"\n")
    places = [index for index, line in enumerate(lines) if line]
    first, second = rng.choice(places), rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        key, sign, _ = lines[first].partition(b"=")
        lines[first] = key + b"= " + rng.choice(VALUES) if sign else lines[first]
    elif kind == 1:
        lines.insert(first, rng.choice(LINES))
    elif kind == 2:
        del lines[first]
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def numbers_of(suite):
    """Every number that a run would use, as the checked suite has it."""
    return {
        "evaluation": suite.evaluation,
        "calibration": suite.calibration,
        "replicates": suite.replicates,
        "seed": suite.seed,
        "retrained": suite.yardstick.retrained,
        "steps": {variant.name: [step.canonical() for step in variant.steps] for variant in suite.variants},
        "gates": [
            [(gate.value, gate.rule, gate.tolerance, gate.margin) for gate in use.gates] for use in suite.metrics
        ],
        "metrics": [(use.metric.name, use.metric.samples, use.metric.parameters()) for use in suite.metrics],
    }


def check_numbers(suite, content, seed):
    """What the text gives, the suite holds; what it leaves out has its default."""
    data, yardstick = content["data"], content.get("yardstick", {})
    found = numbers_of(suite)
    default = {name: field.default for name, field in DataTable.model_fields.items()}
    assert found["evaluation"] == data.get("evaluation", default["evaluation"]), seed
    assert found["calibration"] == data.get("calibration", default["calibration"]), seed
    assert found["replicates"] == content.get("replicates", 1), seed
    assert found["seed"] == content.get("seed", 0), seed
    assert found["retrained"] == yardstick.get("retrained", YardstickTable.model_fields["retrained"].default), seed
    for variant in content["variant"]:
        for given, step in zip(variant.get("steps", []), found["steps"][variant["name"]], strict=True):
            assert step["step"] == given["use"], seed
            own = {name: value for name, value in given.items() if name != "use"}
            assert {name: step["parameters"][name] for name in own} == own, seed
    for metric, use, gates in zip(content["metric"], found["metrics"], found["gates"], strict=True):
        assert use[0] == metric["use"], seed
        own = {name: value for name, value in metric.items() if name not in ("use", "gate", "matrix", "samples")}
        assert {name: use[2][name] for name in own} == own, seed
        assert use[1] == metric.get("samples"), seed
        rules = [
            (gate["value"], rule, gate[rule], gate.get("margin"))
            for gate in metric.get("gate", [])
            for rule in gate
            if rule.startswith(("max_", "min_"))
        ]
        assert list(gates) == rules, seed


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_suite_says_so_or_holds_what_it_says(tmp_path, monkeypatch, part):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "suite.toml"
    path.write_bytes(WHOLE)
    whole, content = load_suite(path), tomllib.loads(WHOLE.decode())
    check_numbers(whole, content, "whole")
    for seed in seeds(part):
        rng = generator(seed)
        change = one_byte if seed % 2 == 0 else torn if rng.random() < 0.4 else rewritten
        damaged = change(WHOLE, rng)
        path.write_bytes(damaged)

        def read():
            suite = load_suite(path)
            return suite, describe_suite(suite)

        found, error = answer(seed, read)
        if error is not None:
            continue
        given = tomllib.loads(damaged.decode("utf-8-sig"))
        if given == content:
            assert numbers_of(found[0]) == numbers_of(whole), f"seed {seed}: other numbers, without a word"
        else:
            check_numbers(found[0], given, f"seed {seed}")
