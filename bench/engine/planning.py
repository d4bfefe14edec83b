"""A suite with its data, expanded once for this machine and device."""

from __future__ import annotations

from dataclasses import dataclass

from bench.data.base import Dataset
from bench.data.sources.base import with_sources
from bench.data.splitting import load_dataset
from bench.engine.provenance import machine
from bench.errors import UserError
from bench.models.base import Model, Recipe, check_recipe
from bench.suite.plan import Plan
from bench.suite.planned_networks import INTAKE_SAMPLES, Splits
from bench.suite.planner import Planner
from bench.suite.reuse import taken_again
from bench.suite.suite import Suite
from bench.uncertainty.base import Method


@dataclass(frozen=True, eq=False)
class PlannedSuite:
    """A suite with its data and its plan, and the planner that made it."""

    suite: Suite
    device: str
    dataset: Dataset
    planner: Planner
    plan: Plan


def plan_suite(suite: Suite, device: str = "cpu", dataset: Dataset | None = None) -> PlannedSuite:
    """Load the data and expand the suite; nothing is measured.

    Raises:
        UserError: the data cannot be loaded, or does not fit what the suite asks of it.
    """
    suite = taken_again(suite)
    dataset = with_sources(dataset or _load(suite), suite.ood)
    if suite.reference.model is not None:
        suite.reference.model.check(dataset.input)
    if suite.reference.recipe is not None:
        check_recipe(suite.reference.recipe, dataset.input)
    if suite.reference.method is not None and suite.reference.model is not None:
        _check_method(suite.reference.method, suite.reference.model, dataset, suite.reference.recipe or Recipe())
    for use in suite.metrics:
        if use.metric.too_many(len(dataset.evaluation)):
            raise UserError.at(
                f"metric {use.metric.name}: samples",
                f"{use.metric.samples} asked, the evaluation split has {len(dataset.evaluation)}",
                "ask for fewer, or raise data.evaluation",
            )
    planner = _planner(suite, device, dataset)
    return PlannedSuite(suite, device, dataset, planner, planner.plan())


def _check_method(method: Method, model: Model, dataset: Dataset, recipe: Recipe) -> None:
    """Refuse what cannot carry the method; it builds a network, which takes nothing from the global generator."""
    from bench.models.training import reproducible

    with reproducible("check"):
        method.check(model, dataset.input, recipe)


def _load(suite: Suite) -> Dataset:
    """The suite's data; calibration samples that nobody asked for and no step demands are taken where there are any."""
    try:
        return load_dataset(suite.loader, suite.evaluation, suite.calibration)
    except UserError:
        if not suite.spare_calibration:
            raise
    return load_dataset(suite.loader, suite.evaluation, 0)


def _planner(suite: Suite, device: str, dataset: Dataset) -> Planner:
    """The planner that expands the suite for this data set and machine."""
    first = dataset.evaluation.take(slice(0, INTAKE_SAMPLES))  # labels have no say in how a network is taken in
    intake = f"{first.ids_fingerprint} {first.inputs_fingerprint}"
    splits = Splits(dataset.train.fingerprint, dataset.calibration.fingerprint, dataset.input.canonical(), intake)
    return Planner(suite, splits, dataset, machine(suite.targets), device)
