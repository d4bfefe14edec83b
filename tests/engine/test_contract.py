"""Probes, derived arrays and values through whole runs, with a user's own probes that count themselves."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bench.data.base import Samples
from bench.engine.in_memory import answers
from bench.store.store import Store
from bench.study import Study

MODULE = """
import numpy as np
from bench.errors import NotApplicable
from bench.metrics.base import Metric
from bench.metrics.values import LABELS, Bound, BoundFigures, Change, Derived, Mean, Proportion, of_reference
from bench.probes.base import Observation, PairProbe, Probe
from bench.probes.logits import log_probabilities
from bench.registry import parameters

asked, made, trials = [], [], []

def who(predictor, context):
    return "floor" if context.floor else predictor.network.record.get("step", "reference")

@parameters
class Scores(Probe):
    "Log-probabilities; the floor's are moved on by one class, so that it cannot be taken for the reference."
    arrays = ("scores",)
    def ask(self, predictor, samples, context):
        asked.append((who(predictor, context), len(samples)))
        trials.append(context.trial)
        found = log_probabilities(predictor, samples.x)
        if context.floor:
            found[:7] = np.roll(found[:7], 1, axis=1)
        return Observation({"scores": found}, {"said": "once"})

@parameters
class Heirs(Scores):
    "As its base."

def top(scores):
    made.append(len(scores))
    return scores.argmax(axis=1)

def agree(own, reference):
    return (own == reference).astype(float)

def surely(scores):
    return np.exp(scores.max(axis=1))

def apart(a, b):
    return np.abs(a - b)

def differ(a, b):
    return (a != b).astype(float)

TOP = Derived("top", top, of="scores")

@parameters
class First(Metric):
    "How sure."
    family = "fidelity"
    probes = (Scores(),)
    derived = (TOP, Derived("surely", surely, of="scores"))
    values = (
        Change("sureness_change", apart, of="surely", power=1, largest=1.0),
        Mean("sureness", of="surely", better="higher", largest=1.0),
        Change("flips", differ, of="top", power=1, count=True, largest=1.0),
    )

@parameters
class Second(Metric):
    "Agreement with the reference, and how often right: of the labels alone the last."
    family = "fidelity"
    probes = (Scores(),)
    derived = (
        TOP,
        Derived("agrees", agree, of=("top", of_reference("top"))),
        Derived("right", agree, of=("top", LABELS)),
    )
    values = (
        Proportion("agreement", of="agrees", better="higher"),
        Proportion("right", of="right", better="higher"),
    )

@parameters
class Heir(First):
    "As its base, on a probe that inherits."
    probes = (Heirs(),)

class Refusing(Probe):
    arrays = ("refused",)
    def ask(self, predictor, samples, context):
        asked.append((type(self).__name__, who(predictor, context)))
        if self.refuses(predictor):
            raise NotApplicable("nothing to say")
        return Observation({"refused": np.zeros(len(samples))})

@parameters
class RefusesVariants(Refusing):
    "Has no answer by what a step made."
    def refuses(self, predictor):
        return "step" in predictor.network.record

@parameters
class RefusesReference(Refusing):
    "Has no answer by the reference."
    def refuses(self, predictor):
        return "step" not in predictor.network.record

@parameters
class Partly(Metric):
    "Two probes, of which one is refused."
    family = "fidelity"
    probes = (Scores(), RefusesVariants())
    derived = (Derived("surely", surely, of="scores"),)
    values = (
        Mean("sureness", of="surely", better="higher"),
        Mean("plain", of="refused", better="lower"),
        Change("moved", apart, of="refused", power=1),
    )

@parameters
class PartlyDerived(Metric):
    "What is derived of a probe that is refused."
    family = "fidelity"
    probes = (Scores(), RefusesVariants())
    derived = (Derived("surely", surely, of="scores"), Derived("twice", np.negative, of="refused"))
    values = (Mean("sureness", of="surely", better="higher"), Mean("twice", of="twice", better="lower"))

@parameters
class PartlyOfReference(Metric):
    "What reads the reference's answer to a probe that it refused."
    family = "fidelity"
    probes = (Scores(), RefusesReference())
    derived = (
        Derived("surely", surely, of="scores"),
        Derived("masked", lambda a, b: a * b, of=("surely", of_reference("refused"))),
    )
    values = (Mean("sureness", of="surely", better="higher"), Mean("masked", of="masked", better="lower"))

@parameters
class Wholly(Metric):
    "Every probe is refused."
    family = "fidelity"
    probes = (RefusesVariants(),)
    values = (Mean("plain", of="refused", better="lower"),)

@parameters
class Invalid(Probe):
    "Answers that mean nothing."
    arrays = ("nonsense",)
    def ask(self, predictor, samples, context):
        asked.append((type(self).__name__, who(predictor, context)))
        return Observation({"nonsense": np.zeros(len(samples))}, {"dead": 0.5})
    def invalid(self, observation):
        return f"dead on {observation.notes['dead']:.0%}"

@parameters
class OfInvalid(Metric):
    "Nothing."
    family = "fidelity"
    probes = (Invalid(),)
    values = (Mean("plain", of="nonsense", better="lower"),)

@parameters
class Changing(Probe):
    "Notes that depend on the samples at hand."
    arrays = ("zero",)
    def ask(self, predictor, samples, context):
        return Observation({"zero": np.zeros(len(samples))}, {"first": samples.ids[0]})

@parameters
class OfChanging(Metric):
    "Nothing."
    family = "fidelity"
    probes = (Changing(),)
    values = (Mean("plain", of="zero", better="lower"),)

@parameters
class Together(PairProbe):
    "Both networks at once."
    arrays = ("apart",)
    def ask_pair(self, reference, variant, samples, context):
        asked.append(("step" in reference.network.record, who(variant, context)))
        both = (log_probabilities(predictor, samples.x) for predictor in (reference, variant))
        return Observation({"apart": np.abs(next(both) - next(both)).mean(axis=1)})

@parameters
class Distances(Metric):
    "A change alone: no figure of the reference beside itself is read."
    family = "fidelity"
    probes = (Together(),)
    values = (Change("apart", None, of="apart", power=1),)

@parameters
class Compared(Metric):
    "A figure that is compared with the reference beside itself."
    family = "fidelity"
    probes = (Together(),)
    values = (Mean("apart", of="apart", better="lower"),)

@parameters
class Explained(Probe):
    "The probability of the reference's class."
    version = 1
    arrays = ("explained",)
    @property
    def needs(self):
        return (Scores(),)
    def ask(self, predictor, samples, context):
        (needed,) = context.reference.values()
        asked.append((who(predictor, context), needed.notes["said"], len(needed.arrays["scores"])))
        classes = needed.arrays["scores"].argmax(axis=1)
        found = log_probabilities(predictor, samples.x)
        return Observation({"explained": np.exp(found[np.arange(len(samples)), classes])})

@parameters
class Explains(Metric):
    "The mean probability of the reference's class."
    family = "fidelity"
    probes = (Explained(),)
    values = (Mean("explained", of="explained", better="higher", largest=1.0),)

def limits(right):
    return BoundFigures(1.0, 2.0)

@parameters
class Limited(Metric):
    "A bound that reads labels."
    family = "lipschitz"
    probes = (Scores(),)
    derived = (TOP, Derived("surely", surely, of="scores"), Derived("right", agree, of=("top", LABELS)))
    values = (
        Mean("sureness", of="surely", better="higher"),
        Bound("limited", limits, of="right", evidence="certified", norm="l2", domain="all"),
    )
"""
N = 150
YARDSTICKS = 4
ROLES = ("reference", "floor", *["reference"] * YARDSTICKS, "weight-noise")  # yardsticks are trained, not made by steps


@pytest.fixture
def own(measured, monkeypatch):
    """The tiny suite, its networks trained, with one variant on torch and metrics of the user's own module."""
    (measured.folder / "own_of_contract.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(measured.folder))
    shutil.copytree(".crbench", "another")  # with the same networks, and nothing that these metrics ask
    head = measured.text[: measured.text.index('[[target]]\nname = "edge"')]
    noise = '[[variant]]\nname = "noise"\nsteps = [{ use = "weight-noise", sigma = 0.3 }]\n\n'

    def module():
        return sys.modules["own_of_contract"]

    def study(*uses, dataset=None, store=".crbench", more=""):
        """A study of these metrics, each a name or (name, samples)."""
        tables = [(use, None) if isinstance(use, str) else use for use in uses]
        text = "".join(
            f'[[metric]]\nuse = "own_of_contract:{name}"\n' + (f"samples = {n}\n\n" if n else "\n")
            for name, n in tables
        )
        measured.write(text=head + noise + more + text)
        return Study("tiny.toml", store, dataset=dataset)

    return SimpleNamespace(study=study, module=module, folder=measured.folder)


def values(results, metric):
    (cell,) = [cell for cell in results.cells if cell.metric.endswith(f":{metric}")]
    assert cell.status == "ok", cell.reason
    return cell.values


def figures(results, metric):
    """All but the p-values that are adjusted for other cells of the suite."""
    return {name: value.model_copy(update={"p_adjusted": None}) for name, value in values(results, metric).items()}


def test_a_probe_is_asked_once_for_several_metrics_and_numbers_of_samples(own):
    """Of the most samples that any of them wants, whichever comes first."""
    results = own.study(("First", 40), "Second").run()
    asked = own.module().asked
    assert Counter(asked) == Counter((role, N) for role in ROLES)
    assert {cell.n for cell in results.cells} == {40, N}
    alone = own.study(("First", 40), store="another").run()
    assert values(alone, "First") == values(results, "First")


def test_fewer_samples_read_the_beginning_of_more(own):
    own.study("First").run()
    own.module().asked.clear()
    few = own.study(("First", 40)).run()
    assert own.module().asked == []
    assert [cell.cached for cell in few.cells] == [False]
    assert values(few, "First") == values(own.study(("First", 40), store="another").run(), "First")


def test_more_samples_replace_fewer(own):
    study = own.study(("First", 40))
    study.run()
    (cell,) = study.plan.cells
    keys = {item.key for item in cell.every()}
    own.module().asked.clear()
    more = own.study("First")
    more.run()
    assert Counter(own.module().asked) == Counter((role, N) for role in ROLES)
    (cell,) = more.plan.cells
    assert {item.key for item in cell.every()} == keys  # the number of samples is no part of a key
    records = [Store(".crbench").get("observations", key) for key in keys]
    assert {record.content["rows"] for record in records} == {N}
    own.module().asked.clear()
    own.study(("First", 60)).run()
    assert own.module().asked == []


def test_the_advice_to_take_fewer_samples_helps(own, monkeypatch):
    """What too many Jacobians were refused for, fewer are measured for: after it, and beside it."""
    monkeypatch.setattr("bench.probes.jacobian.DISK_LIMIT", 100 * 4 * 64 * 10)
    jacobian = '[[metric]]\nuse = "lipschitz.local"\n'
    (cell,) = own.study(more=jacobian).run().cells
    assert (cell.status, cell.reason.rpartition("; ")[2]) == ("skipped", "set samples to 100 or less")
    (cell,) = own.study(more=f"{jacobian}samples = 100\n").run().cells
    assert (cell.status, cell.reason) == ("ok", "")


def test_the_trial_is_of_the_whole_set_whatever_is_asked_for(own):
    study = own.study(("First", 20))
    study.run()
    assert len(own.module().trials) == len(ROLES)
    for trial in own.module().trials:
        np.testing.assert_array_equal(trial, study.dataset.evaluation.x[:64])


def test_new_labels_ask_no_network_and_redo_the_cells_that_read_them(own, monkeypatch):
    before = own.study("First", "Second").run()
    own.module().asked.clear()
    dataset = own.study("First", "Second").dataset
    shown = dataset.evaluation
    turned = Samples(shown.ids, shown.x, (shown.y + 1) % 10)
    monkeypatch.setattr("bench.models.training.train", lambda *_: pytest.fail("trained"))
    after = own.study("First", "Second", dataset=replace(dataset, evaluation=turned)).run()
    assert own.module().asked == []
    assert {cell.metric.partition(":")[2]: cell.cached for cell in after.cells} == {"First": True, "Second": False}
    assert figures(after, "First") == figures(before, "First")
    assert values(after, "Second")["right"].reference < 0.2 < 0.5 < values(before, "Second")["right"].reference
    assert figures(after, "Second")["agreement"] == figures(before, "Second")["agreement"]


def test_new_labels_are_no_new_network_from_outside(tmp_path, monkeypatch):
    (tmp_path / "nets_of_contract.py").write_text(
        "from torch import nn\ndef build(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    (tmp_path / "outside.toml").write_text(
        '[data]\nloader = "digits"\nevaluation = 150\ncalibration = 8\n'
        '[reference]\nfactory = "nets_of_contract:build"\n'
        '[[variant]]\nname = "v"\nsteps = [{ use = "weight-noise", sigma = 0.1 }]\n'
        '[[metric]]\nuse = "fidelity.predictions"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    before = Study(tmp_path / "outside.toml", tmp_path / "store")
    shown = before.dataset.evaluation
    turned = replace(before.dataset, evaluation=Samples(shown.ids, shown.x, (shown.y + 1) % 10))
    after = Study(tmp_path / "outside.toml", tmp_path / "store", dataset=turned)
    asked = [{item.key for cell in study.plan.cells for item in cell.every()} for study in (before, after)]
    assert asked[0] == asked[1]


def test_derived_arrays_are_made_once_a_network_and_never_stored(own):
    """``top`` serves two values of one metric, one of another, of the variant and, as a mask, of all others."""
    study = own.study("First", "Second")
    study.run()
    assert own.module().made == [N] * len(ROLES)
    stored = [Store(".crbench").arrays("observations", item.key) for cell in study.plan.cells for item in cell.every()]
    assert {name for arrays in stored for name in arrays} == {"scores"}


def test_arrays_of_the_reference_serve_variant_yardsticks_and_floor(own):
    study = own.study("Second")
    shown = values(study.run(), "Second")["agreement"]
    cell = study.plan.cells[0]
    tops = {
        role: Store(".crbench").arrays("observations", item.key)["scores"].argmax(axis=1)
        for role, item in {
            "reference": cell.reference[0][0], "variant": cell.observed[0][0], "floor": cell.floor[0],
            **{str(index): mark[0][0] for index, mark in enumerate(cell.yardsticks)},
        }.items()
    }  # fmt: skip
    with_reference = {role: float((top == tops["reference"]).mean()) for role, top in tops.items()}
    assert shown.reference == 1.0
    assert shown.variant == with_reference["variant"] < 1
    assert shown.numerical_floor == pytest.approx(1 - with_reference["floor"])
    assert with_reference["floor"] == pytest.approx(1 - 7 / N)
    assert shown.yardsticks == pytest.approx([with_reference[str(index)] for index in range(YARDSTICKS)])


@pytest.mark.parametrize(
    ("metric", "name", "refusing"),
    [
        ("Partly", "plain", "variant"),
        ("Partly", "moved", "variant"),
        ("PartlyDerived", "twice", "variant"),
        ("PartlyOfReference", "masked", "reference"),
    ],
)
def test_a_value_whose_probe_is_refused_is_null_with_the_reason_while_the_cell_stands(own, metric, name, refusing):
    shown = values(own.study(metric).run(), metric)
    assert shown["sureness"].ci is not None
    found = shown[name]
    assert (found.reference, found.variant, found.estimate, found.ci) == (None,) * 4
    assert found.reason == f"{refusing}: nothing to say"


@pytest.mark.parametrize(
    ("metric", "reason"), [("Wholly", "variant: nothing to say"), ("OfInvalid", "variant: dead on 50%")]
)
def test_where_every_answer_is_refused_or_invalid_the_cell_is_skipped_and_nobody_else_asked(own, metric, reason):
    (cell,) = own.study(metric).run().cells
    assert (cell.status, cell.reason, cell.values) == ("skipped", reason, {})
    assert {role for _, role in own.module().asked} == {"weight-noise"}
    own.module().asked.clear()
    (again,) = own.study((metric, 40)).run().cells  # the refusal is kept, without arrays
    assert (again.status, again.reason) == ("skipped", reason)
    assert own.module().asked == []


def test_notes_that_differ_between_blocks_are_an_error(own, monkeypatch):
    monkeypatch.setattr("bench.engine.asking.block_size", lambda probe, predictor: 50)
    (cell,) = own.study("OfChanging").run().cells
    assert cell.status == "error"
    assert cell.reason.startswith("variant: RuntimeError: probe 'own_of_contract:Changing' notes other things")


def test_a_probe_that_inherits_is_asked_anew(own):
    study = own.study("First", "Heir")
    study.run()
    assert Counter(own.module().asked) == Counter((role, N) for role in ROLES * 2)
    first, heir = study.plan.cells
    assert [item.probe.name for item in (first.observed[0][0], heir.observed[0][0])] == [
        "own_of_contract:Scores", "own_of_contract:Heirs"
    ]  # fmt: skip
    assert not {item.key for item in first.every()} & {item.key for item in heir.every()}


@pytest.mark.parametrize(("metric", "alone"), [("Distances", 0), ("Compared", 1)])
def test_a_pair_is_asked_with_the_reference_and_the_reference_alone_only_where_that_is_read(own, metric, alone):
    study = own.study(metric)
    shown = values(study.run(), metric)["apart"]
    assert Counter(own.module().asked) == {(False, "weight-noise"): 1, (False, "reference"): YARDSTICKS + alone}
    (cell,) = study.plan.cells
    for draw in (cell.observed[0], *(mark[0] for mark in cell.yardsticks)):
        assert draw[0].opposite.key == study.plan.references[0].key
    assert shown.estimate > 0
    assert shown.reference == (0.0 if alone else None)


def test_what_a_probe_needs_is_the_references_and_enters_its_key(own):
    study = own.study(("Explains", 60), "First")
    shown = values(study.run(), "Explains")["explained"]
    asked = [item for item in own.module().asked if len(item) == 3]
    assert Counter(asked) == Counter((role, "once", 60) for role in ROLES)
    scores = [item for item in own.module().asked if len(item) == 2]
    assert scores.count(("reference", N)) == 1 + YARDSTICKS  # what is needed is asked once with what others ask
    (cell, _) = study.plan.cells
    arrays = {role: Store(".crbench").arrays("observations", item.key) for role, item in
              {"own": cell.observed[0][0], "needed": cell.observed[0][0].needs[0]}.items()}  # fmt: skip
    assert cell.observed[0][0].needs[0].network.key == study.plan.references[0].key
    assert shown.variant == pytest.approx(arrays["own"]["explained"].mean())
    assert shown.variant < shown.reference == pytest.approx(np.exp(arrays["needed"]["scores"][:60].max(axis=1)).mean())

    keys = {item.key for item in cell.every() if item.needs}
    own.module().Scores.version = 2
    again, _ = own.study(("Explains", 60), "First").plan.cells
    assert not keys & {item.key for item in again.every() if item.needs}


@pytest.mark.parametrize(
    ("metric", "name", "read"),
    [("Second", "right", "agreement"), ("Limited", "limited", "sureness")],
)
def test_a_value_that_needs_labels_is_null_with_the_reason_without_them(own, metric, name, read):
    dataset = own.study(metric).dataset
    shown = dataset.evaluation
    unlabelled = replace(dataset, evaluation=Samples(shown.ids, shown.x, None))
    found = values(own.study(metric, dataset=unlabelled).run(), metric)
    assert found[read].ci is not None
    assert (found[name].variant, found[name].reason) == (None, "needs labels; the data has none")


def test_in_memory_a_metric_gets_what_it_gets_in_a_suite(own):
    study = own.study("Second", "Explains")
    results = study.run()
    shown = {"Second": ("agrees", "agreement"), "Explains": ("explained", "explained")}
    for cell in study.plan.cells:
        networks = [study.engine.observations.open(made, cell.target) for made in (cell.network, cell.original)]
        metric = cell.use.metric
        found = answers(metric, networks[0], study.dataset.evaluation, networks[1])
        for item in cell.observed[0]:
            for name, array in Store(".crbench").arrays("observations", item.key).items():
                np.testing.assert_array_equal(found[name], array)
        name, value = shown[type(metric).__name__]
        measured = values(results, type(metric).__name__)[value]
        assert found[name].mean() == pytest.approx(measured.variant)
        assert measured.variant < measured.reference
