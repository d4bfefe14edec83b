"""Loading a suite file as a checked suite: every name resolved, all problems at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.data.base import CALIBRATION, EVALUATION, Loader, loaders
from bench.data.sources.base import Source, sources
from bench.limits import SUITE_CELLS, SUITE_YARDSTICKS
from bench.suite.check_landscapes import build_landscapes
from bench.suite.check_metrics import build_metrics
from bench.suite.check_networks import (
    build_object,
    build_reference,
    build_targets,
    build_yardstick,
    check_names,
    kind_of,
    tables_in,
)
from bench.suite.check_over_networks import Known, build_equivalents, build_exemplars, build_transfers
from bench.suite.check_series import build_series
from bench.suite.check_variants import VariantContext, build_variant
from bench.suite.extends import read_document
from bench.suite.findings import Findings
from bench.suite.suite import Suite, Variant
from bench.suite.tables import NAME_PATTERN, NAME_RULE, DataTable, OodTable, SuiteTable


def load_suite(path: Path | str) -> Suite:
    """Read, compose (``extends``) and check a suite; nothing is trained or loaded.

    Raises:
        UserError: holds every problem, each with its path such as ``variant[2].steps[0].ratio``.
    """
    path = Path(path)
    findings = Findings(read_document(path))
    content = findings.document.content
    table = findings.parse(SuiteTable, content, ())
    loader = _build_loader(findings, content)
    evaluation, calibration = (_count(content, key) for key in ("evaluation", "calibration"))
    reference = build_reference(findings, content.get("reference"))
    kind = None if reference is None else kind_of(reference)
    yardstick = build_yardstick(findings, content.get("yardstick", {}), reference)
    targets = build_targets(findings, content, kind)
    for key, reserved in (
        ("target", ()),
        ("variant", ("reference",)),
        ("series", ()),
        ("landscape", ()),
        ("exemplars", ()),
        ("transfer", ()),
        ("equivalent", ()),
    ):
        check_names(findings, content, key, reserved)
    names = (*(str(item.get("name")) for _, item in tables_in(content, "target")), *(target.name for target in targets))
    context = VariantContext(reference, kind, targets, tuple(dict.fromkeys(names)), calibration)
    variants = [
        build_variant(findings, item, ("variant", index), context) for index, item in tables_in(content, "variant")
    ]
    has_yardstick = yardstick.retrained > 0 or yardstick.noisy
    ood = _build_ood(findings, content)
    uses = build_metrics(findings, content, evaluation, has_yardstick, tuple(ood), context.target_names)
    variant_names = [str(item.get("name")) for _, item in tables_in(content, "variant")]
    series = build_series(findings, content, variant_names, uses)
    landscapes = build_landscapes(findings, content, evaluation)
    known = Known(variant_names, context.target_names, evaluation)
    exemplars = build_exemplars(findings, content, known)
    transfers = build_transfers(findings, content, known)
    equivalents = build_equivalents(findings, content, known, reference)
    name = _name(findings, path, content)
    if table is not None:
        count = len(variants) * len(targets) * len(uses) * table.replicates
        findings.limited(SUITE_CELLS, count, ("replicates",) if table.replicates > 1 else ("variant",))
        findings.limited(SUITE_YARDSTICKS, max(yardstick.retrained, yardstick.count), ("yardstick",))
    findings.stop()
    made = tuple(variant for variant in variants if isinstance(variant, Variant))
    demanded = any("calibration" in step.demands() for variant in made for step in variant.steps)
    assert table is not None
    assert loader is not None
    assert reference is not None
    return Suite(
        name=name,
        path=path,
        loader=loader,
        evaluation=table.data.evaluation,
        calibration=table.data.calibration,
        reference=reference,
        yardstick=yardstick,
        targets=targets,
        variants=made,
        metrics=uses,
        replicates=table.replicates,
        seed=table.seed,
        spare_calibration=not demanded and "calibration" not in content["data"],
        ood={name: source for name, source in ood.items() if source is not None},
        series=series,
        landscapes=landscapes,
        exemplars=exemplars,
        transfers=transfers,
        equivalents=equivalents,
        not_applicable=tuple(table.not_applicable),
        document=content,
    )


def _build_loader(findings: Findings, content: dict[str, Any]) -> Loader | None:
    raw = content.get("data")
    if not isinstance(raw, dict):
        return None
    loader: Loader | None = build_object(findings, loaders, DataTable, raw, ("data",), "loader")
    return loader


def _build_ood(findings: Findings, content: dict[str, Any]) -> dict[str, Source | None]:
    """Every set out of distribution by its name; None where its source is not sound."""
    check_names(findings, content, "ood", (EVALUATION, CALIBRATION, "train", "reference"))
    return {
        str(item.get("name")): build_object(findings, sources, OodTable, item, ("ood", index), "source")
        for index, item in tables_in(content, "ood")
    }


def _count(content: dict[str, Any], key: str) -> int | None:
    """A number of samples, where it is one; the schema's default where it is not given."""
    data = content.get("data")
    value = data.get(key, DataTable.model_fields[key].default) if isinstance(data, dict) else None
    return value if isinstance(value, int) else None


def _name(findings: Findings, path: Path, content: dict[str, Any]) -> str:
    """The suite's own name, or that of its file."""
    if "name" not in content and not re.search(NAME_PATTERN, path.stem):
        findings.add(("name",), f"the file's name {path.stem!r} cannot name the suite", f"give {NAME_RULE}")
    return str(content.get("name", path.stem))
