"""Checks a suite's variants: their chains, their files and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.compression.base import Step, steps
from bench.compression.chains import check_chain
from bench.errors import UserError
from bench.limits import SUITE_STEPS
from bench.runtimes.base import Target
from bench.suite.check_networks import build_object, build_outside, can_run, check_target_names, tables_in
from bench.suite.findings import Findings
from bench.suite.suite import Reference, Variant
from bench.suite.tables import StepTable, VariantTable
from bench.suite.validation_errors import KeyPath


@dataclass(frozen=True)
class VariantContext:
    """The context of a variant's checks; None where a part has problems of its own."""

    reference: Reference | None
    kind: str | None  # of the reference
    targets: tuple[Target, ...]
    target_names: tuple[str, ...]  # those with problems too
    calibration: int | None


def build_variant(
    findings: Findings, raw: dict[str, Any], key_path: KeyPath, context: VariantContext
) -> Variant | None:
    """A variant whose chain can run on its targets; None where it has problems."""
    given = [key for key in ("onnx", "factory") if key in raw]
    if len(given) > 1:
        findings.add(key_path, f"{' and '.join(given)} are {len(given)} sources", "give one")
    if not {"steps", "onnx", "factory", "checkpoint"} & set(raw):
        findings.add(key_path, "neither steps nor a source", "give steps, or onnx, factory or checkpoint")
    outside = build_outside(findings, raw, key_path, None if context.reference is None else context.reference.outside)
    start = "onnx" if "onnx" in raw else "torch" if {"factory", "checkpoint"} & set(raw) else context.kind
    chain, kind = _build_chain(findings, raw, key_path, start, context)
    targets = _choose_targets(findings, raw, key_path, kind, context)
    table = findings.parse(VariantTable, raw, key_path, quiet=True)
    if table is None:
        return None
    if table.stages and not chain and outside is None and not raw.get("steps"):
        _check_stages(findings, key_path, targets, context)
    return Variant(table.name, chain, outside, targets, table.stages)


def _check_stages(
    findings: Findings, key_path: KeyPath, names: tuple[str, ...] | None, context: VariantContext
) -> None:
    """The reference itself has stages only where a target exports or optimises it."""
    chosen = [target for target in context.targets if names is None or target.name in names]
    if chosen and all(target.runtime == context.kind for target in chosen):
        findings.add((*key_path, "stages"), "no step, and its targets run the reference as it is", "leave it out")


def _build_chain(
    findings: Findings, raw: dict[str, Any], key_path: KeyPath, start: str | None, context: VariantContext
) -> tuple[tuple[Step, ...], str | None]:
    """The steps and the kind of network that comes out; None where that cannot be told."""
    chain: list[Step] = []
    kind = start
    if findings.limited(SUITE_STEPS, len(tables_in(raw, "steps")), (*key_path, "steps")):
        return (), None
    for index, entry in tables_in(raw, "steps"):
        here = (*key_path, "steps", index)
        step: Step | None = build_object(findings, steps, StepTable, entry, here, "use")
        if step is None:
            kind = None  # what follows it cannot be judged
            continue
        _check_needs(findings, step, here, context)
        chain.append(step)
        if kind is None or start is None:
            continue
        try:
            kind = check_chain(start, chain)
        except UserError as error:
            findings.add(here, error.problems[0].what, error.problems[0].right)
            kind = None
    return tuple(chain), kind


def _check_needs(findings: Findings, step: Step, key_path: KeyPath, context: VariantContext) -> None:
    """Check that what a step uses of the suite is there."""
    if "calibration" in step.demands() and context.calibration == 0:
        what = f"{step.name!r} calibrates, and there are no calibration samples"
        findings.add(key_path, what, "give data.calibration = 128")
    if "recipe" in step.uses() and context.reference is not None and context.reference.recipe is None:
        what = f"{step.name!r} trains by the reference's recipe, and there is none"
        findings.add(key_path, what, "give reference.recipe, or leave the step out")


def _choose_targets(
    findings: Findings, raw: dict[str, Any], key_path: KeyPath, kind: str | None, context: VariantContext
) -> tuple[str, ...] | None:
    """The named targets, each of which must exist and run the variant; by default some target must."""
    names = raw.get("targets")
    by_name = {target.name: target for target in context.targets}
    if not isinstance(names, list):
        if kind is not None and by_name and not any(can_run(target, kind) for target in context.targets):
            what = f"no target runs it: it ends as an {kind} network"
            findings.add(key_path, what, 'declare a [[target]] with runtime = "onnxruntime"')
        return None
    for name in check_target_names(findings, names, (*key_path, "targets"), context.target_names):
        here = (*key_path, "targets", names.index(name))
        if kind is not None and name in by_name and not can_run(by_name[name], kind):
            runtime = by_name[name].runtime
            what = f"target {name!r} has runtime {runtime!r}, which cannot run an {kind} network"
            findings.add(here, what, "name a target of another runtime")
    return tuple(name for name in names if isinstance(name, str))
