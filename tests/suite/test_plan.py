"""What enters the keys of observations and cells, one change at a time."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from bench.engine.planning import plan_suite
from bench.metrics.base import metrics
from bench.metrics.values import LABELS
from bench.probes.base import Probe, probes
from bench.probes.logits import Logits
from bench.registry import parameters
from bench.suite.load import load_suite
from tests.suite.documents import write

SUITE = """
[data]
loader = "digits"
evaluation = 120
calibration = 8

[reference]
model = "mlp"
recipe = { epochs = 1 }

[yardstick]
retrained = 4

[[target]]
name = "torch"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]

[[metric]]
use = "fidelity.predictions"
"""
PARAMETERS = {
    **{
        name: {"epsilon": 0.1}
        for name in ("adversarial-inputs", "attack-set", "difference-attack", "masking", "pgd", "transfer")
    },
    **{name: {"against": "noise"} for name in ("ood-logits", "ood-logit-scale")},
}  # fmt: skip
DRAWN = {"expected-gradients", "expected-gradients-draws"}  # how many draws belongs to the whole set of samples
ATTACKS_ON_PAIRS = {"difference-attack", "difference-search", "masking"}
ATTACKS = {"adversarial-inputs", "attack-set", "minimum-norm", "pgd", "transfer", *ATTACKS_ON_PAIRS}
UNEXPLAINED = {"corrupted-logits", "difference-bounds", *ATTACKS}
RANDOM = {"faithfulness", "gradient-shap", "kernel-shap", "rise", "smoothgrad", *DRAWN, *UNEXPLAINED}
EXPLAINED = {  # the class that the reference gives
    "grad-cam", "integrated-gradients", "integrated-gradients-steps", "saliency", "occlusion",
    *(RANDOM - UNEXPLAINED),
}  # fmt: skip
PAIRS = {"latency", "attribution-bounds", "difference-bounds", *ATTACKS_ON_PAIRS}
LIPSCHITZ = {"ball-constants", "lipschitz-bounds", "lipschitz-scale", "pair-constants"}  # of the whole network
OF_SAMPLES = {
    "corrupted-logits", "jacobian", "logit-scale", "logits", "member-predictions", "peak-memory",
    *ATTACKS, *LIPSCHITZ, *PAIRS, *EXPLAINED,
}  # fmt: skip
OF_CALIBRATION = {"calibration-logits"}
OF_NOISE = {"ood-logits", "ood-logit-scale"}
ALL = {*OF_SAMPLES, *OF_CALIBRATION, *OF_NOISE, "artefact"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    return plan_suite(load_suite(write(tmp_path_factory.mktemp("plan"), SUITE)))


def keys(planned, *, other_network=False, other_reference=False, count=100, target=0, **more):
    """The key of every probe, put to the variant; ``planner`` holds what is changed about the plan's own."""
    planner, plan = more.pop("planner", planned.planner), planned.plan
    node = plan.yardsticks[0] if other_network else plan.variants["noise", 0]
    reference = plan.yardsticks[1] if other_reference else plan.references[0]
    asked = {name: probes.get(name)(**PARAMETERS.get(name, {})) for name in probes.names()}
    place = node, planned.suite.targets[target], reference, count
    return {name: planner.observation(probe, *place, **more).key for name, probe in asked.items()}


def changed(planned, **more):
    before, after = keys(planned), keys(planned, **more)
    return {name for name in before if before[name] != after[name]}


def planner_of(planned, **parts):
    """The planner with other parts."""
    made = copy.copy(planned.planner)
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def with_other(planned, samples, **parts):
    """The planner with other fingerprints of the samples of that name."""
    fingerprints = replace(planned.planner.fingerprints(samples), **parts)
    return planner_of(planned, known_samples={**planned.planner.known_samples, samples: fingerprints})


@pytest.mark.parametrize(
    ("part", "wanted"),
    [("inputs", OF_SAMPLES), ("ids", OF_SAMPLES), ("labels", ATTACKS | ATTACKS_ON_PAIRS), ("size", set())],
)
def test_of_the_samples_what_a_probe_reads(planned, part, wanted) -> None:
    planner = with_other(planned, "evaluation", **{part: 119 if part == "size" else "another"})
    assert changed(planned, planner=planner) == wanted


@pytest.mark.parametrize(
    ("part", "wanted"), [("inputs", OF_CALIBRATION), ("ids", OF_CALIBRATION), ("labels", set()), ("size", set())]
)
def test_of_calibration_samples_only_what_is_asked_on_them(planned, part, wanted) -> None:
    planner = with_other(planned, "calibration", **{part: 7 if part == "size" else "another"})
    assert changed(planned, planner=planner) == wanted


def test_the_calibration_split_where_it_is_the_background(planned) -> None:
    splits = replace(planned.planner.splits, calibration="another")
    assert changed(planned, planner=planner_of(planned, splits=splits)) == DRAWN | {"difference-attack"}


def test_of_a_set_out_of_distribution_what_is_asked_on_it(planned) -> None:
    assert changed(planned, planner=with_other(planned, "noise", inputs="another")) == OF_NOISE


def test_the_declared_input_of_all(planned) -> None:
    declared = {**planned.planner.declared, "bounds": [0, 2]}
    assert changed(planned, planner=planner_of(planned, declared=declared)) == ALL


def test_the_number_of_samples_only_of_what_belongs_to_the_set(planned) -> None:
    assert changed(planned, count=60) == {"latency", "peak-memory", *LIPSCHITZ, *DRAWN}


def test_the_seed_only_of_random_probes(planned) -> None:
    assert changed(planned, planner=planner_of(planned, suite=replace(planned.suite, seed=1))) == RANDOM


def test_the_machine_only_of_what_is_timed(planned) -> None:
    machine = replace(planned.planner.machine, fingerprint="another", cpu_features=("another",))
    assert changed(planned, planner=planner_of(planned, machine=machine)) == {"latency", "peak-memory"}


def test_network_target_draw_and_floor_of_all(planned) -> None:
    assert changed(planned, other_network=True) == changed(planned, target=1) == ALL
    assert changed(planned, draw=1) == changed(planned, floor=True) == ALL


def test_the_reference_of_pairs_and_of_what_needs_its_answers(planned) -> None:
    assert changed(planned, other_reference=True) == {"transfer", *PAIRS, *EXPLAINED}


def test_a_probes_version_enters_its_own_key_and_that_of_what_needs_it(planned, monkeypatch) -> None:
    before = keys(planned)
    monkeypatch.setattr(Logits, "version", 99)
    after = keys(planned)
    assert {name for name in before if before[name] != after[name]} == {
        "logits",
        "attribution-bounds",
        "difference-bounds",
        *EXPLAINED,
    }


def test_a_probe_on_other_samples_is_asked_on_all_of_them(planned) -> None:
    place = planned.plan.references[0], planned.suite.targets[0], planned.plan.references[0], 60
    assert planned.planner.observation(probes.get("calibration-logits")(), *place).count == 8
    assert planned.planner.observation(Logits(), *place).count == 60


@pytest.mark.parametrize(
    ("package", "wanted"),
    [("torch", ALL), ("foolbox", ATTACKS - {"difference-attack", "difference-search"}), ("onnxruntime", set())],
)
def test_the_versions_of_the_packages_that_answer(planned, monkeypatch, package, wanted) -> None:
    from bench.suite import planned_networks

    before, version = keys(planned), planned_networks.package_version
    monkeypatch.setattr(
        planned_networks, "package_version", lambda name: "another" if name == package else version(name)
    )
    after = keys(planned)
    assert {name for name in before if before[name] != after[name]} == wanted


def test_parameters_are_part_of_a_key(planned) -> None:
    place = planned.plan.references[0], planned.suite.targets[0], planned.plan.references[0], 10
    made = [probes.get("pgd")(epsilon=epsilon, steps=steps) for epsilon, steps in ((0.1, 3), (0.2, 3), (0.1, 4))]
    assert len({planned.planner.observation(probe, *place).key for probe in made}) == 3


def test_a_class_that_inherits_from_a_probe_is_another_probe(planned) -> None:
    @parameters
    class Heir(Logits):
        """As its base."""

    @parameters
    class Named(Logits):
        """As its base, by a name of its own."""

        name = "named-of-test-plan"

    assert (Heir.name, Named.name) == (f"{__name__}:{Heir.__qualname__}", "named-of-test-plan")
    place = planned.plan.references[0], planned.suite.targets[0], planned.plan.references[0], 10
    assert len({planned.planner.observation(probe, *place).key for probe in (Logits(), Heir(), Named())}) == 3
    assert issubclass(Heir, Probe)


@pytest.mark.parametrize("name", metrics.names())
def test_labels_enter_the_cells_that_read_them(planned, name) -> None:
    """Of labelled probes by the observations' keys, of others by the cell's own: never both ways at once."""
    bounded = ("adversarial.difference", "adversarial.masking", "adversarial.pgd", "adversarial.robust_error")
    attacked = ("adversarial.difference_search", "adversarial.minimum_norm", *bounded)
    given = {**{key: {"epsilon": 0.1} for key in bounded}, "uncertainty.ood": {"against": "noise"}}
    metric = metrics.get(name)(**given.get(name, {}))
    use, plan = replace(planned.suite.metrics[0], metric=metric), planned.plan
    place = "noise", plan.variants["noise", 0], planned.suite.targets[0], use, 0, plan
    other = with_other(planned, "evaluation", labels="another")
    cell, again = planned.planner.cell(*place), other.cell(*place)
    family = name.startswith("uncertainty.") and name not in ("uncertainty.ood", "uncertainty.members")
    more = ("adversarial.corruptions", "fidelity.accuracy", "fidelity.predictions", "lipschitz.margin")
    reading = family or name in more
    assert (cell.key != again.key) == (reading or name in attacked)
    assert (LABELS in cell.parts["reads"]) == reading
    assert (cell.observed[0][0].key != again.observed[0][0].key) == (name in attacked)


def test_labels_of_other_samples_enter_the_cells_that_read_them(planned) -> None:
    """Of conformal sets and not of a threshold on confidence; no network is asked again for them."""
    other, plan, keys_changed = with_other(planned, "calibration", labels="another"), planned.plan, {}
    for name in ("uncertainty.conformal", "uncertainty.threshold", "fidelity.accuracy"):
        use = replace(planned.suite.metrics[0], metric=metrics.get(name)())
        place = "noise", plan.variants["noise", 0], planned.suite.targets[0], use, 0, plan
        cell, again = planned.planner.cell(*place), other.cell(*place)
        assert [item.key for item in cell.every()] == [item.key for item in again.every()]
        keys_changed[name] = cell.key != again.key
    assert keys_changed == {
        "uncertainty.conformal": True, "uncertainty.threshold": False, "fidelity.accuracy": False
    }  # fmt: skip


def test_one_forward_pass_of_each_network_serves_accuracy_fidelity_and_calibration(planned) -> None:
    plan, asked = planned.plan, []
    for name in ("fidelity.accuracy", "fidelity.predictions", "uncertainty.calibration"):
        use = replace(planned.suite.metrics[0], metric=metrics.get(name)(samples=len(asked) + 40))
        cell = planned.planner.cell("noise", plan.variants["noise", 0], planned.suite.targets[0], use, 0, plan)
        asked.append({item.key for item in cell.every()})
    assert len(asked[0]) == 1 + 1 + 1 + 4  # variant, reference, its floor, yardsticks
    assert asked[0] == asked[1] == asked[2]


def test_planning_takes_no_network_into_hands(planned, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("bench.models.training.train", lambda *_: pytest.fail("trained"))
    again = plan_suite(load_suite(write(Path(tmp_path), SUITE)))
    assert [cell.key for cell in again.plan.cells] == [cell.key for cell in planned.plan.cells]
    assert [cell.label for cell in again.plan.cells] == [
        f"noise/{target}/fidelity.predictions" for target in ("torch", "edge")
    ]
