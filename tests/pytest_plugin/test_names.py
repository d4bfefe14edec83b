"""Names of items."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bench.engine.planning import plan_suite
from bench.functional.divergences import flips
from bench.metrics.base import Metric, metrics
from bench.metrics.values import Change
from bench.probes.logits import Logits
from bench.pytest_plugin.names import cell_name, safe, unique
from bench.registry import parameters
from bench.suite.load import load_suite
from bench.suite.suite import MetricUse

K = re.compile(r"[\w.-]*")


@parameters
class Odd(Metric):
    """A metric whose parameters hold whatever a file may hold."""

    name = "some.module:Odd metric"
    family = "fidelity"
    text: str = ""
    numbers: tuple[float, ...] = ()

    probes = (Logits(),)
    values = (Change("flips", flips, of="log_probabilities", power=1),)


@given(st.text())
def test_no_text_gets_through_that_k_cannot_take(text):
    assert K.fullmatch(safe(text))


@given(st.lists(st.sampled_from(["a", "a-2", "a-2-2", "b"]), max_size=12))
def test_names_become_unique_and_stay_where_they_are(names):
    found = unique(names)
    assert len(set(found)) == len(names)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


def test_parameters_replicates_and_control_characters(fresh, monkeypatch):
    monkeypatch.chdir(fresh.folder)
    plan = plan_suite(load_suite("suites/mine.toml")).plan

    def named(metric, replicate=0):
        cell = plan.cells[0]
        planned = replace(cell, use=MetricUse(metric), replicate=replicate)
        assert planned.id.label == planned.label
        return cell_name(planned.id)

    odd = named(Odd(text="a/b\x1b[31m c::d", numbers=(-1.0, 0.5)))
    assert odd == "close-edge-some.module-Odd-metric-numbersminus1.0-0.5-texta-b-31m-c-d"
    assert named(metrics.get("adversarial.pgd")(epsilon=0.1), 2) == "close-edge-adversarial.pgd-epsilon0.1-replicate2"
    long = [named(Odd(text="x" * 500 + end)) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 130
