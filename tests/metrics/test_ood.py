"""Detection of samples out of distribution: scores, intervals, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.data.base import Samples
from bench.data.sources.base import sources, with_sources
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.errors import NotApplicable
from bench.metrics.two_samples import TwoSampleStatistic, effective
from bench.metrics.uncertainty.ood import OutOfDistribution
from bench.probes.logit_scale import logit_scale
from bench.stats.harm import harm
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples

METRIC = OutOfDistribution(against="noise")
VALUES: dict[str, TwoSampleStatistic] = {value.name: value for value in METRIC.values}
SUITE_METRIC = """
[[ood]]
name = "noise"
source = "gaussian-noise"
std = 0.3

[[metric]]
use = "uncertainty.ood"
against = "noise"
"""


@pytest.fixture(scope="module")
def sets(digits):
    return with_sources(digits, {"noise": sources.get("gaussian-noise")(std=0.25)}).sets


def derived(first, second, draws=1000):
    evidence = Evidence([first], [second], [], None, len(first.samples))
    return {name: item.result for name, item in Derivation(draws).values(METRIC.values, evidence).items()}


def test_a_network_beside_itself_has_no_harm(predictors, digits, sets) -> None:
    shown = answers(METRIC, predictors["reference"], digits.evaluation, sets=sets)
    for name, result in derived(shown, shown).items():
        assert result.estimate == 0, name
        assert result.ci == (0, 0), name
        assert 0 < result.variant < 1


def test_scores_are_what_their_names_say(predictors, digits, sets) -> None:
    shown = answers(METRIC, predictors["ptq4"], digits.evaluation, sets=sets)
    p = np.exp(shown["log_probabilities"])
    order = np.argsort(shown["mcp_score"])
    assert (np.diff((1 - p.max(axis=1))[order]) >= -1e-12).all()
    np.testing.assert_allclose(shown["entropy_score"], -(p * np.log(p)).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(
        shown["max_logit_score"], shown["mcp_score"] + shown["energy_score"], atol=1e-5
    )  # -max z = -log p_max - log sum exp z
    assert shown["ood_mcp_score"].mean() > shown["mcp_score"].mean()


def test_a_shift_of_all_logits_moves_energy_and_largest_logit_alone(linear, rows) -> None:
    weight, samples = np.array([[1.0, 0.0], [0.0, 1.0]]), rows(np.random.default_rng(0).normal(size=(30, 2)))
    plain, moved = linear(weight), linear(weight + np.array([0.5, -0.25]))
    metric = OutOfDistribution(against="other")
    beside = {"other": rows(np.random.default_rng(1).normal(size=(20, 2)) * 2)}
    one, two = (answers(metric, network, samples, sets=beside) for network in (plain, moved))
    for name in ("mcp_score", "entropy_score", "ood_mcp_score"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-6)
    shift = samples.x[:, 0, 0] @ np.array([0.5, -0.25])
    for name in ("max_logit_score", "energy_score"):
        np.testing.assert_allclose(one[name] - two[name], shift, atol=1e-5)


def test_logits_of_probabilities_are_not_known(predictors, digits) -> None:
    class Softmax:
        spec = replace(
            predictors["reference"].spec, input=replace(predictors["reference"].spec.input, output="probabilities")
        )

    with pytest.raises(NotApplicable, match="answers probabilities"):
        logit_scale(Softmax(), digits.evaluation.x)


def test_where_no_logits_are_known_probabilities_stand(predictors, digits, sets, monkeypatch) -> None:
    def refused(*_):
        raise NotApplicable("the network answers probabilities")

    monkeypatch.setattr("bench.probes.logit_scale.logit_scale", refused)
    monkeypatch.setattr("bench.probes.ood_logits.logit_scale", refused)
    shown = answers(METRIC, predictors["reference"], digits.evaluation, sets=sets)
    for name, result in derived(shown, shown).items():
        if name.startswith(("mcp", "entropy")):
            assert result.estimate == 0
        else:
            assert result.estimate is None
            assert result.reason == "variant: the network answers probabilities"


@pytest.mark.parametrize("m", [1, 5])
def test_few_samples_have_figures_and_no_interval(predictors, digits, sets, m) -> None:
    few = {**sets, "noise": sets["noise"].take(slice(0, m))}
    both = [answers(METRIC, predictors[name], digits.evaluation, sets=few) for name in ("reference", "ptq4")]
    for result in derived(*both).values():
        assert 0 <= result.variant <= 1
        assert result.ci is None
        assert result.own_ci is None
        assert result.reason == f"{m} samples out of distribution: an interval needs 10"


def arrays(first, second):
    return {"mcp_score": first, "ood_mcp_score": second}


def test_sets_that_are_told_apart_have_no_interval() -> None:
    far = arrays(np.arange(50.0), np.arange(50.0) + 100)
    value = VALUES["mcp_auroc"]
    assert value.point(far) == 1
    assert value.without_interval(far, far) == "only 0 scores overlap with the other set's: an interval needs 10"
    one = arrays(np.r_[np.arange(49.0), 120.5], np.arange(50.0) + 100)
    assert value.without_interval(far, one).startswith("too few samples decide (effectively ")
    assert effective(value.influences(one)[0].negatives) < 5


def world(random, n, m, noise):
    """One network's scores beside another's, of the same samples."""
    first, second = random.normal(size=n), random.normal(1.5, 1.3, m)
    return [arrays(first + e * random.normal(size=n), second + e * random.normal(size=m)) for e in (0.3, noise)]


@pytest.mark.parametrize("name", ["mcp_auroc", "mcp_aupr", "mcp_fpr95"])
def test_intervals_of_harms_and_figures_cover(at_least, name) -> None:
    random, value = np.random.default_rng(5), VALUES[name]
    trials = 50 if value.drawn else 120  # these take 2,000 draws each
    big = world(random, 120_000, 60_000, 0.8)
    truth = [value.point(item) for item in big]
    wanted = (truth[1] - truth[0]) * (1 if value.better == "lower" else -1)
    hits = own = 0
    for _ in range(trials):
        f, g = world(random, 160, 80, 0.8)
        resamples = Resamples(160, 400)
        found = harm(
            value.point(f), value.point(g), *value.paired_draws(f, g, resamples), better=value.better, samples=160
        )
        hits += found.interval.low <= wanted <= found.interval.high
        alone = percentile_interval(value.draws(g, resamples), samples=160)
        own += alone.low <= truth[1] <= alone.high
    assert at_least(hits, trials, 0.94)
    assert at_least(own, trials, 0.94)


def test_sets_of_one_size_are_resampled_apart() -> None:
    """The variance of a sum of both is the sum of their variances, though both have the same resamples."""
    random = np.random.default_rng(0)
    first = random.normal(size=200)
    both = arrays(first, first + 1)
    value, resamples = VALUES["mcp_auroc"], Resamples(200, 4000)
    spread = np.std(value.draws(both, resamples))
    negatives, positives = value.influences(both)[0]
    assert spread == pytest.approx(np.sqrt(negatives.var() / 200 + positives.var() / 200), rel=0.06)


def test_in_a_suite_end_to_end(tiny) -> None:
    head = tiny.text[: tiny.text.index("[[metric]]")]
    (tiny.folder / "tiny.toml").write_text(head + SUITE_METRIC)
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise/torch/*") == 0
    (cell,) = [cell for cell in tiny.results()["cells"] if cell["target"] == "torch" and cell["variant"] == "noise"]
    assert cell["status"] == "ok", cell["reason"]
    assert cell["params"] == {"against": "noise"}
    value = cell["values"]["mcp_auroc"]
    assert value["n"] == 150
    assert len(value["yardsticks"]) == 4
    assert value["ci"][0] < value["estimate"] < value["ci"][1]
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise/torch/*") == 0
    assert tiny.results()["cells"][0]["cached"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('against = "noise"', 'against = "nois"', "metric[0].against: 'nois' is no [[ood]] of the suite; did you mean"),
        (SUITE_METRIC.partition("[[metric]]")[0], "", "is no [[ood]] of the suite; give [[ood]] with name"),
        ("std = 0.3", "std = 0", "ood[0].std: "),
        ("std = 0.3", "", "ood[0].std: "),
        ('"gaussian-noise"', '"gaussian-nose"', "ood[0].source: unknown source 'gaussian-nose'; did you mean"),
        ('name = "noise"', 'name = "calibration"', "ood[0].name: 'calibration' is reserved"),
        ("[[metric]]", '[[ood]]\nname = "noise"\nsource = "gaussian-blur"\nsigma = 1\n\n[[metric]]', "ood[1].name: "),
        (
            'against = "noise"',
            'against = "noise"\ngate = [{ value = "mcp_auroc", max_harm = 0.1 }]',
            "'mcp_auroc' stands on two sets of samples, which no gate resamples",
        ),
    ],
)
def test_suites_that_cannot_be_measured_say_where(tiny, capsys, old, new, message) -> None:
    head = tiny.text[: tiny.text.index("[[metric]]")]
    assert old in SUITE_METRIC
    (tiny.folder / "tiny.toml").write_text(head + SUITE_METRIC.replace(old, new))
    assert tiny.run("check", "tiny.toml") == 2
    assert message in capsys.readouterr().err


def test_without_labels_all_of_it_is_measured(predictors, digits, sets) -> None:
    bare = Samples(digits.evaluation.ids, digits.evaluation.x, None)
    shown = answers(METRIC, predictors["reference"], bare, sets=sets)
    assert all(result.estimate == 0 for result in derived(shown, shown).values())


def test_a_set_that_is_not_there_is_said(predictors, digits) -> None:
    shown = answers(METRIC, predictors["reference"], digits.evaluation)
    assert shown.refusal("ood_mcp_score") == "needs noise samples; the data has none"
