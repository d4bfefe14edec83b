"""Checks a suite's reference, yardstick and targets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from bench.compression.base import steps
from bench.errors import UserError
from bench.models.base import Model, Recipe, models
from bench.registry import Registry, check_code, nearest
from bench.runtimes.base import Target, runtimes
from bench.suite.findings import Findings
from bench.suite.planned_networks import onnx_source, outside_kind
from bench.suite.suite import Outside, Reference, Yardstick
from bench.suite.tables import InputTable, MethodTable, NameTable, OpenTable, ReferenceTable, YardstickTable
from bench.suite.validation_errors import KeyPath
from bench.uncertainty.base import Method, methods

SOURCES = ("model", "factory", "onnx")


def kind_of(reference: Reference) -> str:
    """The kind of network that chains begin with."""
    outside = reference.outside
    if outside is not None and onnx_source(outside) is not None:
        return "onnx"
    return "torch" if outside is None else outside_kind(outside)


def can_run(target: Target, kind: str) -> bool:
    """Whether a target runs such a network, as it is or after the export that the engine does."""
    kinds = runtimes.get(target.runtime, "target.runtime").kinds
    export = steps.get("onnx-export")()
    return kind in kinds or (kind in export.consumes and export.produces(kind) in kinds)


def tables_in(raw: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of an array of tables, with their index; what is no table is reported by the schema."""
    array = raw.get(key) if isinstance(raw, dict) else None
    return [(i, item) for i, item in enumerate(array) if isinstance(item, dict)] if isinstance(array, list) else []


def check_target_names(findings: Findings, names: list[Any], key_path: KeyPath, known: Collection[str]) -> list[str]:
    """The names that are targets of the suite, each once; the others are findings."""
    fine = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name in names[:index]:
            findings.add((*key_path, index), f"{name!r} stands here twice", "name each target once")
        elif name not in known:
            findings.add((*key_path, index), f"unknown target {name!r}", nearest(name, known))
        else:
            fine.append(name)
    return fine


def build_object(
    findings: Findings,
    registry: Registry[Any],
    table: type[OpenTable],
    raw: dict[str, Any],
    key_path: KeyPath,
    key: str,
) -> Any:
    """The object of the registered class named under ``key``, with the table's further keys as its parameters."""
    name = raw.get(key)
    cls = findings.find(registry, name, (*key_path, key)) if isinstance(name, str) else None
    return None if cls is None else findings.build(cls, table.parameters_in(raw), key_path)


def build_outside(
    findings: Findings, raw: dict[str, Any], key_path: KeyPath, reference: Outside | None = None
) -> Outside | None:
    """A network from outside; None where it is none or its files do not serve.

    A checkpoint that names no factory belongs to that of the ``reference``. A network takes its input as the reference
    does, whatever it is, unless it declares its own.
    """
    onnx, checkpoint = raw.get("onnx"), raw.get("checkpoint")
    if isinstance(raw.get("factory"), str):
        try:
            check_code(raw["factory"], "")
        except UserError as error:
            findings.add((*key_path, "factory"), error.problems[0].what, error.problems[0].right)
            return None
    factory = raw.get("factory", None if reference is None else reference.factory)
    if checkpoint is not None and (factory is None or onnx is not None):
        what = "weights need the network they belong to"
        findings.add((*key_path, "checkpoint"), what, 'give factory = "module:object" beside it')
        return None
    if onnx is None and "factory" not in raw and checkpoint is None:
        if "input" in raw:
            findings.add((*key_path, "input"), "the network is not from outside", "leave it out: the data declares it")
        return None
    table = findings.parse(InputTable, raw.get("input", {}), (*key_path, "input"), quiet=True)
    if table is not None and (wrong := table.contradiction()):
        findings.add((*key_path, "input"), *wrong)
    declared = {} if table is None else table.declared()
    if reference is not None and "input" not in raw:
        declared = dict(reference.input)
    if isinstance(onnx, str):
        path = findings.file(onnx, (*key_path, "onnx"), (".onnx",))
        return None if path is None else Outside(onnx=path, input=declared)
    weights = None
    if isinstance(checkpoint, str):
        weights = findings.file(checkpoint, (*key_path, "checkpoint"), (".safetensors",))
        if weights is None:
            return None
    return Outside(factory=factory, checkpoint=weights, input=declared) if isinstance(factory, str) else None


def build_reference(findings: Findings, raw: Any) -> Reference | None:
    """The reference: an architecture with its recipe, or a network from outside."""
    key_path: KeyPath = ("reference",)
    if not isinstance(raw, dict):
        return None
    given = [key for key in SOURCES if key in raw]
    if len(given) != 1:
        what = f"{' and '.join(given)} are {len(given)} sources" if given else "no source"
        findings.add(key_path, what, f"give exactly one of {', '.join(SOURCES)}")
    table = findings.parse(ReferenceTable, {k: v for k, v in raw.items() if k == "recipe"}, key_path, quiet=True)
    recipe = None if table is None else table.recipe
    if "onnx" in raw and "recipe" in raw:
        findings.add((*key_path, "recipe"), "an ONNX file is not trained", "leave it out")
    outside = build_outside(findings, raw, key_path)
    if "model" not in raw:
        strange = ReferenceTable.parameters_in(raw)
        for key in strange:
            findings.add((*key_path, key), "unknown key", nearest(key, ReferenceTable.model_fields))
        return Reference(recipe=recipe, outside=outside) if outside is not None and len(given) == 1 else None
    model: Model | None = build_object(findings, models, ReferenceTable, raw, key_path, "model")
    method: Method | None = None
    if isinstance(raw.get("method"), dict):
        method = build_object(findings, methods, MethodTable, raw["method"], (*key_path, "method"), "use")
    weights = raw.get("weights")
    if not isinstance(weights, str):  # another type is reported where the table is parsed
        weights = None
    folder = None if weights is None else findings.document.origin((*key_path, "weights")).parent / weights
    return None if model is None else Reference(model=model, recipe=recipe or Recipe(), method=method, weights=folder)


def build_yardstick(findings: Findings, raw: Any, reference: Reference | None) -> Yardstick:
    """The yardstick of a suite; one that the reference cannot have is a problem."""
    key_path: KeyPath = ("yardstick",)
    table = findings.parse(YardstickTable, raw, key_path, quiet=True)
    if table is None:
        return Yardstick()
    noises = [key for key in ("weight_noise", "weight_noise_sigma") if getattr(table, key) is not None]
    kinds = ["retrained"] * bool(table.retrained) + noises
    if len(kinds) > 1:
        what = f"{' and '.join(kinds)} are {'two' if len(kinds) == 2 else 'three'} yardsticks"
        findings.add(key_path, what, "retrained networks where they can be trained, else weight_noise")
    if "count" in raw and not noises:
        findings.add(
            (*key_path, "count"), "counts the noisy copies of weight_noise", "give weight_noise, or leave it out"
        )
    if table.retrained and reference is not None and reference.model is None:
        what = "the reference is not trained here: it has no model with a recipe"
        findings.add((*key_path, "retrained"), what, "give weight_noise = 0.01 as a substitute")
    if noises and reference is not None:
        kind = kind_of(reference)
        if kind not in steps.get("weight-noise").consumes:
            findings.add(
                (*key_path, noises[0]), f"weights of an {kind} network are not changed", "leave it out: no gaps"
            )
    return Yardstick(table.retrained, table.weight_noise, table.weight_noise_sigma, table.count)


def build_targets(findings: Findings, raw: Any, kind: str | None) -> tuple[Target, ...]:
    """The targets; by default one of the runtime that fits the reference."""
    entries = tables_in(raw, "target")
    if not raw.get("target"):
        runtime = "onnxruntime" if kind == "onnx" else "torch"
        return (Target(name=runtime, runtime=runtime),)
    targets = []
    for index, entry in entries:
        key_path: KeyPath = ("target", index)
        target = findings.parse(Target, entry, key_path, quiet=True)
        if target is None or findings.find(runtimes, target.runtime, (*key_path, "runtime")) is None:
            continue
        if kind is not None and not can_run(target, kind):
            what = f"runtime {target.runtime!r} cannot run the reference, an {kind} network"
            findings.add(
                (*key_path, "runtime"), what, "every variant is compared with the reference on the same target"
            )
        if target.runtime == "torch" and target.integer_sums != "native":
            what = f"torch sums in floating point, and integer_sums is {target.integer_sums!r}"
            findings.add((*key_path, "integer_sums"), what, 'leave it out, or give runtime = "onnxruntime"')
        targets.append(target)
    return tuple(targets)


def check_names(findings: Findings, raw: Any, key: str, reserved: Sequence[str] = ()) -> None:
    """Names are safe in paths, and unique, also on file systems that do not tell capitals apart."""
    seen: dict[str, int] = {}
    for index, entry in tables_in(raw, key):
        name = entry.get("name")
        if not isinstance(name, str):
            continue
        key_path: KeyPath = (key, index, "name")
        findings.parse(NameTable, {"name": name}, (key, index))
        if name.casefold() in reserved:
            findings.add(key_path, f"{name!r} is reserved", "give another name")
        first = seen.setdefault(name.casefold(), index)
        if first != index:
            findings.add(key_path, f"{name!r} is the name of {key}[{first}] already", "give another name")
