"""Checks a suite's sections over many networks at once: whom their globs mean, and on how many samples."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from bench.probes.adversarial_inputs import AdversarialInputs
from bench.registry import nearest
from bench.suite.check_networks import tables_in
from bench.suite.findings import Findings
from bench.suite.suite import Equivalents, Exemplars, Reference, Transfers
from bench.suite.tables import EquivalentTable, ExemplarsTable, OverNetworksTable, TransferTable
from bench.suite.validation_errors import KeyPath


class Known(NamedTuple):
    """What a suite holds that a section may name."""

    variants: Sequence[str]
    targets: Sequence[str]
    evaluation: int | None  # samples; None where the suite gives no number


def build_exemplars(findings: Findings, raw: dict[str, Any], known: Known) -> tuple[Exemplars, ...]:
    """Every section of exemplars that is sound."""
    made = []
    for index, item in tables_in(raw, "exemplars"):
        table = findings.parse(ExemplarsTable, item, ("exemplars", index))
        if table is not None:
            variants, targets = _meant(findings, table, known, ("exemplars", index))
            made.append(Exemplars(table.name, variants, targets, table.samples, table.shown))
    return tuple(made)


def build_transfers(findings: Findings, raw: dict[str, Any], known: Known) -> tuple[Transfers, ...]:
    """Every transfer matrix that is sound."""
    made = []
    for index, item in tables_in(raw, "transfer"):
        key_path = ("transfer", index)
        inputs = findings.build(AdversarialInputs, TransferTable.parameters_in(item), key_path)
        own = {key: value for key, value in item.items() if key in TransferTable.model_fields}
        table = findings.parse(TransferTable, own, key_path)
        if table is not None and inputs is not None:
            variants, targets = _meant(findings, table, known, key_path)
            made.append(Transfers(table.name, variants, targets, inputs, table.yardsticks, table.samples))
    return tuple(made)


def build_equivalents(
    findings: Findings, raw: dict[str, Any], known: Known, reference: Reference | None
) -> tuple[Equivalents, ...]:
    """Every section of deep-ensemble equivalents that is sound; the pool needs a model with a recipe."""
    made = []
    for index, item in tables_in(raw, "equivalent"):
        key_path: KeyPath = ("equivalent", index)
        table = findings.parse(EquivalentTable, item, key_path)
        if table is None:
            continue
        if reference is not None and reference.model is None:
            what = "the reference is not trained here, so there is no pool of networks like it"
            findings.add(key_path, what, "give reference.model with a recipe, or leave the section out")
        variants, targets = _meant(findings, table, known, key_path)
        kept = table.weights
        folder = None if kept is None else findings.document.origin((*key_path, "weights")).parent / kept
        made.append(Equivalents(table.name, variants, targets, table.networks, folder, table.samples))
    return tuple(made)


def _meant(
    findings: Findings, table: OverNetworksTable, known: Known, key_path: KeyPath
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The variants and targets that a section means, each once, in the suite's order."""
    most = known.evaluation
    own = type(table).model_fields["samples"].default  # a limit of the section's own gives way to fewer
    if table.samples not in (None, own) and most is not None and table.samples > most:
        what = f"{table.samples} are more than the {most} evaluation samples"
        findings.add((*key_path, "samples"), what, f"give at most {most}")
    variants = _named(findings, "variant", table.variants, known.variants, (*key_path, "variants"))
    return variants, _named(findings, "target", table.targets, known.targets, (*key_path, "targets"))


def _named(
    findings: Findings, what: str, patterns: Sequence[str], names: Sequence[str], key_path: KeyPath
) -> tuple[str, ...]:
    for number, pattern in enumerate(patterns):
        if not any(fnmatchcase(name, pattern) for name in names):
            findings.add((*key_path, number), f"no {what} {pattern!r}", nearest(pattern, names))
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
