"""Declarations that cannot be right are refused when the metric is made, and in one line from a suite."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cli import run_cli
from bench.metrics.base import Metric, faults, sources
from bench.metrics.values import (
    IDS,
    LABELS,
    Bound,
    BoundFigures,
    Change,
    Cost,
    Derived,
    Mean,
    Proportion,
    Statistic,
    of_reference,
)
from bench.probes.artefact import Artefact
from bench.probes.latency import Latency
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.stats.resampling import Resamples

LOGITS, LP = Logits(), "log_probabilities"
ONE = Mean("one", of=LP, better="lower")


def made(**declared):
    body = {"family": "fidelity", "probes": (LOGITS,), "values": (ONE,)} | declared
    return parameters(type("Made", (Metric,), {"__annotations__": {}, **body}))


def lower(name, of):
    return Mean(name, of=of, better="lower")


def derived(name, *of):
    return Derived(name, lambda *arrays: arrays[0], of=of)


GOOD = {
    "observed": {},
    "derived of derived": {"derived": (derived("a", LP), derived("b", "a", LABELS, IDS)),
                           "values": (lower("m", "b"),)},
    "of the reference": {"derived": (derived("a", of_reference(LP)),),
                         "values": (lower("m", "a"), lower("r", of_reference("a")))},
    "a cost that may be absent": {"values": (ONE, Cost("c", of="nothing", unit="ms", absent="nobody asked"))},
    "a headline": {"values": (Change("c", lambda a, b: a, of=LP, power=1),), "headline": "c"},
}  # fmt: skip
BAD = {
    "no probes": ({"probes": ()}, "it declares no probes"),
    "no values": ({"values": ()}, "it declares no values"),
    "unknown": (
        {"values": (lower("m", "nothing"),)},
        "value 'm': no probe and nothing derived gives 'nothing'",
    ),
    "unknown of a statistic": (
        {"values": (Statistic("s", np.add, of=(LP, "x"), better="lower"),)},
        "value 's': no probe and nothing derived gives 'x'",
    ),
    "unknown of the reference": (
        {"values": (lower("m", of_reference("x")),)},
        "value 'm': no probe and nothing derived gives 'x'",
    ),
    "unknown, derived": (
        {"derived": (derived("a", "x"),), "values": (lower("m", "a"),)},
        "value 'm': no probe and nothing derived gives 'x'",
    ),
    "derived later": (
        {
            "derived": (derived("a", "b"), derived("b", LP)),
            "values": (lower("m", "a"),),
        },
        "value 'm': no probe and nothing derived gives 'b'",
    ),
    "of itself": (
        {"derived": (derived("a", "a"),), "values": (lower("m", "a"),)},
        "value 'm': no probe and nothing derived gives 'a'",
    ),
    "a cost against nothing": (
        {"values": (Cost("c", of="latencies", unit="ms", against="x"),), "probes": (Latency(),)},
        "value 'c': no probe and nothing derived gives 'x'",
    ),
    "a value twice": (
        {"values": (ONE, Proportion("one", of=LP, better="lower"))},
        "value 'one' is given twice",
    ),
    "an array twice": (
        {"derived": (derived(LP, LABELS),)},
        "array 'log_probabilities' is given twice",
    ),
    "two probes of one array": ({"probes": (LOGITS, LOGITS)}, "array 'log_probabilities' is given twice"),
    "no such headline": ({"headline": "js"}, "headline 'js' is no change that it declares"),
    "a headline that is no change": ({"headline": "one"}, "headline 'one' is no change that it declares"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_declaration(name) -> None:
    assert not list(faults(made(**GOOD[name])()))


@pytest.mark.parametrize("name", BAD)
def test_a_declaration_that_cannot_be_right(name) -> None:
    declared, fault = BAD[name]
    with pytest.raises(TypeError) as raised:
        made(**declared)()
    assert str(raised.value) == f"metric Made: {fault}"


def test_what_an_array_stands_on() -> None:
    metric = made(
        probes=(LOGITS, Artefact()),
        derived=(derived("a", LP, LABELS), derived("b", "a", of_reference("a"), "macs", IDS)),
        values=(lower("m", "b"),),
    )()
    reference = of_reference(LP)
    assert sources(metric, "b") == {LP, LABELS, IDS, reference, "macs"}
    assert sources(metric, of_reference("a")) == {reference, LABELS}


FILE = """
from bench.metrics.base import Metric
from bench.metrics.values import Mean
from bench.probes.logits import Logits
from bench.registry import parameters

@parameters
class Wrong(Metric):
    "Reads what nobody gives."
    family = "fidelity"
    probes = (Logits(),)
    values = (Mean("m", of="logits", better="lower"),)
"""
SUITE = """
[data]
loader = "digits"
evaluation = 50

[reference]
model = "mlp"
recipe = { epochs = 1 }

[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]

[[metric]]
use = "wrong_of_test_declarations:Wrong"
"""


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_suite_refuses_it_in_one_line(tmp_path, monkeypatch, capsys, command) -> None:
    (tmp_path / "wrong_of_test_declarations.py").write_text(FILE)
    (tmp_path / "s.toml").write_text(SUITE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run_cli([command, "s.toml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("crbench: metric[0]: Wrong cannot be made: ")
    assert "value 'm': no probe and nothing derived gives 'logits'" in line


ARRAYS = {"x": np.array([1.0, 0.0, 1.0, 1.0]), "y": np.array([2.0, 4.0, 6.0, 8.0])}
WEIGHTS = np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 2, 2, 0]], dtype=np.float32)


def weighted(y, x, weights):
    return (weights * (y - x)).sum(axis=1) / weights.sum(axis=1)


@pytest.mark.parametrize(
    ("value", "point", "draws"),
    [
        (Mean("m", of="y", better="lower"), 5.0, [5.0, 2.0, 5.0]),
        (Proportion("p", of="x", better="higher"), 0.75, [0.75, 1.0, 0.5]),
        (Statistic("s", weighted, of=("y", "x"), better="lower"), 4.25, [4.25, 1.0, 4.5]),
    ],
)
def test_figures_and_their_resamples_by_hand(value, point, draws) -> None:
    assert value.point(ARRAYS) == point
    np.testing.assert_allclose(value.draws(ARRAYS, Resamples.of(WEIGHTS)), draws)


def test_a_statistic_that_is_recentred_has_draws_around_its_figure() -> None:
    """By their mean: 4.25, 1 and 4.5 have the mean 3.25, so all move up by one."""
    value = Statistic("s", weighted, of=("y", "x"), better="lower", recentre=True)
    np.testing.assert_allclose(value.draws(ARRAYS, Resamples.of(WEIGHTS)), [5.25, 2.0, 5.5])


def test_costs_are_figures_or_quantiles_or_absent() -> None:
    arrays = {"size": np.array(10), "taken": np.array([1.0, 2.0, 3.0, 4.0, 10.0])}
    assert Cost("c", of="size", unit="bytes").figure(arrays) == 10
    assert Cost("c", of="taken", unit="ms", quantile=0.5).figure(arrays) == 3
    assert Cost("c", of="size", unit="ms", quantile=0.75, against="taken").figure(arrays, "taken") == 4
    assert Cost("c", of="nothing", unit="ms").figure(arrays) is None


def test_independent_draws_are_scaled_by_squares_whatever_the_distance() -> None:
    def change(**more):
        return Change("c", lambda a, b: a, of="x", power=1, **more)

    assert (change().scale_power, change(coupling="independent").scale_power) == (1, 2)


def test_the_kinds_of_values() -> None:
    bound = Bound("b", lambda a: BoundFigures(1, 2), of="x", evidence="certified", norm="l2", domain="all")
    kinds = [ONE.kind, bound.kind, Cost("c", of="x", unit="").kind, Statistic("s", np.add, of="x", better="none").kind]
    assert kinds == ["quality", "bound", "cost", "quality"]
