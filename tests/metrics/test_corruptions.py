import numpy as np
import pytest

from bench.data.base import Samples
from bench.data.digits import Digits
from bench.engine.derive import Derivation
from bench.engine.evidence import Evidence
from bench.engine.in_memory import answers
from bench.functional.corruptions.base import corruptions
from bench.metrics.adversarial.corruptions import Corruptions
from bench.probes.corrupted_logits import KINDS
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from tests.metrics.asking import figure

BRIGHTER = Corruptions(kinds=("brightness",), severities=(1, 2, 3))
STRENGTHS = corruptions.get("brightness").severities[:3]
VALUES = {value.name: value for value in Corruptions.values}


@pytest.fixture
def light(linear):
    """A network that tells images of a mean above a threshold; the logit is 20 times the distance."""

    def build(threshold):
        return linear(np.array([[0.0] * 4, [5.0] * 4]), bias=np.array([0.0, -20 * threshold]), bounds=(0.0, 1.0))

    return build


@pytest.fixture
def grey(rows):
    """Images of one grey each, from black to .59, of class 1 from .3 on."""
    level = np.arange(0.0, 0.6, 0.005) + 0.0025
    return rows(np.repeat(level[:, None], 4, axis=1), level > 0.3)


def evidence(metric, networks, samples):
    reference = networks[0]
    shown = [[answers(metric, network, samples, reference)] for network in networks]
    return Evidence(shown[0], shown[1], shown[2:], None, len(samples))


def level(samples):
    return samples.x[:, 0, 0, 0].astype(float)


def test_error_and_flips_are_those_by_hand(light, grey):
    first, second = 0.3, 0.34
    found = Derivation().values(BRIGHTER.values, evidence(BRIGHTER, [light(first), light(second)], grey))
    own = level(grey)[:, None] + np.array(STRENGTHS)
    truth = (level(grey) > 0.3)[:, None]
    error = [((own > threshold) != truth).mean() for threshold in (first, second)]
    flips = ((own > first) != (own > second)).mean(axis=1)
    clean = ((level(grey) > first) != (level(grey) > second)).mean()
    harm = found["corruption_error"].result
    assert (harm.reference, harm.variant) == pytest.approx(error)
    assert harm.estimate == pytest.approx(error[1] - error[0])  # a later switch errs less in brighter images
    assert harm.ci[0] <= harm.estimate <= harm.ci[1] < 0
    change = found["corruption_flip_rate"].result
    assert change.estimate == pytest.approx(flips.mean())
    assert found["corruption_flip_rate_worst_5"].result.estimate == pytest.approx(np.sort(flips)[-6:].mean())
    ratio = found["flip_ratio"].result
    assert ratio.variant == pytest.approx(flips.mean() / clean)
    assert (ratio.reference, ratio.estimate, ratio.ci) == (None, None, None)
    added = found["flips_added"].result
    assert (added.reference, added.variant) == (0, pytest.approx(flips.mean() - clean))
    assert added.own_ci[0] < added.variant < added.own_ci[1]


def area(score, flipped):
    """Over all pairs, one by one; scores that arithmetic alone tells apart are equal."""
    above = score[flipped][:, None] - score[~flipped][None, :]
    return ((above > 1e-5) + 0.5 * (np.abs(above) <= 1e-5)).mean()


def test_how_near_the_threshold_an_image_is_tells_its_flips(light, grey):
    """Of two classes all scores order alike, by the distance from the reference's threshold."""
    found = Derivation().values(BRIGHTER.values, evidence(BRIGHTER, [light(0.3), light(0.4)], grey))
    own = level(grey)[:, None] + np.array(STRENGTHS)
    flipped = (own > 0.3) != (own > 0.4)
    near = {"": -np.abs(own - 0.3), "clean_": -np.abs(np.broadcast_to(level(grey)[:, None], own.shape) - 0.3)}
    for prefix, score in near.items():
        for name in ("margin", "entropy", "mcp"):
            result = found[f"{prefix}{name}_auroc"].result
            assert result.variant == pytest.approx(area(score, flipped), abs=0.005)
            assert result.own_ci[0] < result.variant < result.own_ci[1] <= 1
            assert result.reference is None
        for name in ("entropy", "mcp"):
            beyond = found[f"{prefix}margin_auroc_beyond_{name}"].result
            assert beyond.variant == pytest.approx(0, abs=0.005)
            assert -1 <= beyond.own_ci[0] <= beyond.own_ci[1] <= 1
    assert found["margin_auroc"].result.variant > found["clean_margin_auroc"].result.variant + 0.05


def test_yardsticks_stand_beside_it(light, grey):
    networks = [light(0.3), light(0.34), light(0.32), light(0.28), light(0.31), light(0.3)]
    found = Derivation().values(BRIGHTER.values, evidence(BRIGHTER, networks, grey))
    ratio = found["flip_ratio"].result
    assert [mark is None for mark in ratio.yardsticks] == [False, False, False, True]  # the last is the reference again
    assert len(found["corruption_error"].result.yardsticks) == 4


def test_without_clean_flips_there_is_no_ratio_and_the_reason(light, grey):
    found = Derivation().values(BRIGHTER.values, evidence(BRIGHTER, [light(0.3), light(0.3)], grey))
    ratio = found["flip_ratio"].result
    assert (ratio.variant, ratio.reason) == (None, "no sample flips on the clean images")
    for name in ("margin_auroc", "clean_mcp_auroc", "margin_auroc_beyond_mcp", "clean_margin_auroc_beyond_entropy"):
        result = found[name].result
        assert (result.variant, result.own_ci) == (None, None)
        assert result.reason == "no version of a sample flips under corruption, or every one does"
    assert found["corruption_flip_rate"].result.estimate == 0


def test_few_clean_flips_are_said_and_have_no_interval(light, grey):
    shown = evidence(BRIGHTER, [light(0.3), light(0.31)], grey)  # two images lie between
    ratio = Derivation().values(BRIGHTER.values, shown)["flip_ratio"].result
    assert ratio.variant is not None
    assert ratio.own_ci is None
    assert BRIGHTER.details(shown.variant[0])["underpowered"] == {
        "clean": "underpowered: 2 of 120 samples flip, 10 are needed",
        "shifted": "underpowered: 6 of 120 samples flip, 10 are needed",
    }


def test_without_labels_flips_stay(light, grey):
    plain = Samples(grey.ids, grey.x, None)
    shown = evidence(BRIGHTER, [light(0.3), light(0.34)], plain)
    found = Derivation().values(BRIGHTER.values, shown)
    assert found["corruption_error"].result.reason == "needs labels; the data has none"
    assert found["corruption_flip_rate"].result.estimate > 0
    assert "error" not in BRIGHTER.details(shown.variant[0])


def test_details_are_rates_by_kind_and_severity(light, grey):
    shown = evidence(BRIGHTER, [light(0.3), light(0.34)], grey)
    told = BRIGHTER.details(shown.variant[0])
    own = level(grey)[:, None] + np.array(STRENGTHS)
    truth = (level(grey) > 0.3)[:, None]
    assert (told["n"], told["severities"]) == (120, [1, 2, 3])
    assert told["error"] == {"brightness": pytest.approx(((own > 0.34) != truth).mean(axis=0))}
    assert told["flip_rate"] == {"brightness": pytest.approx(((own > 0.3) != (own > 0.34)).mean(axis=0))}
    assert told["clean_flip_rate"] == pytest.approx(8 / 120)
    assert told["clean_error"] == pytest.approx(8 / 120)
    assert told["underpowered"] == {"clean": "underpowered: 8 of 120 samples flip, 10 are needed"}
    assert "flip_rate" not in BRIGHTER.details(shown.reference[0])


def test_the_label_names_only_what_is_not_usual():
    assert Corruptions().label == "adversarial.corruptions"
    assert Corruptions(severities=(1,)).label == "adversarial.corruptions[severities=(1,)]"


def test_the_error_of_a_trained_network_never_falls_with_severity(zoo):
    samples = Digits().load(360, 128).evaluation
    predictor = open_predictor(zoo("convnet"), Target(name="torch"))
    metric = Corruptions()
    shown = answers(metric, predictor, samples)
    told = metric.details(shown)
    table = np.array([[told["clean_error"], *told["error"][kind]] for kind in KINDS])
    assert (np.diff(table.mean(axis=0)) > 0).all()
    assert np.diff(table, axis=1).min() >= -0.01  # three of 360 samples
    assert figure(VALUES["corruption_error"], shown)[0] == pytest.approx(table[:, 1:].mean())
