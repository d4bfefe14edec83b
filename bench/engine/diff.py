"""One pair from two files or factories as a suite of its own, without yardsticks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bench.data.base import Dataset, Loader, Samples
from bench.data.npz import read_npz
from bench.errors import Problem, UnusableNetwork, UserError, legible
from bench.families import FAMILIES
from bench.graph.network import InputSpec, Network
from bench.metrics.base import Metric
from bench.metrics.base import metrics as registered
from bench.models.outside import load_outside
from bench.models.packaged import is_packaged, packaged
from bench.registry import nearest
from bench.runtimes.base import IntegerSums, Target
from bench.suite.given_input import parse_input, parse_parameters
from bench.suite.suite import MetricUse, Outside, Reference, Suite, Variant, Yardstick

Declared: TypeAlias = str | Mapping[str, Any] | None


class Inputs(NamedTuple):
    """How the networks take their input: ``both``, or each; the variant as the reference where it has none of its own.

    Each is a text such as ``layout=NHWC,scale=255`` or a mapping of the same keys.
    """

    both: Declared = None
    reference: Declared = None
    variant: Declared = None

    def declared(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of the reference and of the variant, as ``InputSpec.canonical`` has it."""
        first = self.both if self.reference is None else self.reference
        second = first if self.variant is None else self.variant
        names = ("--reference-input" if self.reference is not None else "--input", "--variant-input")
        found = [
            {} if item is None else parse_input(item, name) for item, name in zip((first, second), names, strict=True)
        ]
        return found[0], found[1]


UNDECLARED = Inputs()


class _Given(Loader):
    """Stands where a suite names its loader; the data is handed over."""

    name = "npz"

    def load(self, evaluation: int, calibration: int) -> Dataset:
        raise AssertionError("the data of a diff is handed over")


def diff_suite(
    reference: str,
    variant: str,
    data: Path,
    metric_texts: tuple[str, ...],
    bounds: tuple[float, float] | None,
    integer_sums: IntegerSums = "native",
    inputs: Inputs = UNDECLARED,
) -> tuple[Suite, Dataset]:
    """Check everything a diff was given and make a suite of one pair."""
    samples, limits = _data(data, bounds)
    outside = {
        name: replace(parse_network(text, name), input=declared)
        for (name, text), declared in zip(
            {"REFERENCE": reference, "VARIANT": variant}.items(), inputs.declared(), strict=True
        )
    }
    uses = parse_metrics(metric_texts, labelled=samples.y is not None)
    for use in uses:
        if use.metric.samples is not None and use.metric.samples > len(samples):
            raise UserError.at("--metric", f"samples={use.metric.samples} asked, {data} has {len(samples)}")
    runtime = "torch" if all(item.onnx is None for item in outside.values()) else "onnxruntime"
    if runtime == "torch" and integer_sums != "native":
        raise UserError.at("--integer-sums", f"{integer_sums!r} asked of torch networks", "it is of ONNX files")
    target = Target(name=runtime, runtime=runtime, integer_sums=integer_sums)
    classes = _classes(outside, samples, limits)
    if samples.y is not None and int(samples.y.max(initial=0)) >= classes:
        raise UserError.at(
            str(data), f"a label is {int(samples.y.max())}", f"the networks have classes 0 to {classes - 1}"
        )
    declared = _declared(samples, limits, classes)
    empty = samples.take(slice(0, 0))
    dataset = Dataset(legible(data.name), declared, empty, empty, samples)
    suite = Suite(
        name="diff",
        path=data,
        loader=_Given(),
        evaluation=len(samples),
        calibration=0,
        reference=Reference(outside=outside["REFERENCE"]),
        yardstick=Yardstick(),
        targets=(target,),
        variants=(Variant(legible(Path(variant.partition("@")[0]).name), outside=outside["VARIANT"]),),
        metrics=uses,
    )
    return suite, dataset


def _data(data: Path, limits: tuple[float, float] | None) -> tuple[Samples, tuple[float, float]]:
    samples = read_npz(data, limits or (-np.inf, np.inf))
    if limits is None:
        low, high = float(samples.x.min()), float(samples.x.max())
        if low < 0 or high > 1:
            raise UserError.at("--bounds", f"x lies in [{low:g}, {high:g}]", "say which range is valid, as LO,HI")
        limits = (0.0, 1.0)
    return samples, limits


def parse_bounds(text: str) -> tuple[float, float]:
    """Read LO,HI.

    >>> parse_bounds("0,255")
    (0.0, 255.0)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError.at("--bounds", f"{text!r} is not LO,HI", "give two numbers such as 0,1") from None
    if not (isfinite(low) and isfinite(high)):
        raise UserError.at("--bounds", f"{text!r} is not finite", "give two numbers such as 0,1")
    if not low < high:
        raise UserError.at("--bounds", f"{low:g} is not below {high:g}", "give LO,HI with LO < HI")
    return low, high


def parse_network(text: str, where: str) -> Outside:
    """An ONNX file, ``package:NAME/path.onnx``, or ``module:factory[@checkpoint.safetensors]``.

    >>> parse_network("nets:small", "REFERENCE").factory
    'nets:small'
    """
    if is_packaged(text):
        text = str(packaged(text, where))
    if text.endswith(".onnx") or Path(text).is_file():
        path = Path(text)
        if not path.is_file():
            raise UserError.at(where, f"no file {text}", "give an ONNX file or module:factory[@checkpoint.safetensors]")
        if path.suffix != ".onnx":
            advice = "give an ONNX file, or module:factory@CHECKPOINT for weights"
            raise UserError.at(where, f"{text} is not an .onnx file", advice)
        return Outside(onnx=path)
    factory, _, checkpoint = text.partition("@")
    if not re.fullmatch(r"[\w.]+:\w+", factory):
        raise UserError.at(where, f"no file {text}", "give an ONNX file or module:factory[@checkpoint.safetensors]")
    if is_packaged(checkpoint):
        checkpoint = str(packaged(checkpoint, where))
    if checkpoint and not Path(checkpoint).is_file():
        raise UserError.at(where, f"no file {checkpoint}", "give a safetensors checkpoint")
    return Outside(factory=factory, checkpoint=Path(checkpoint) if checkpoint else None)


def parse_metrics(texts: tuple[str, ...], *, labelled: bool) -> tuple[MetricUse, ...]:
    """Metrics as given; without any, all that need neither gradients nor a parameter."""
    if texts:
        return tuple(MetricUse(parse_metric(text)) for text in texts)
    chosen = []
    order = list(FAMILIES)
    for cls in sorted(map(registered.get, registered.names()), key=lambda m: (order.index(m.family), m.name)):
        free = all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls))
        metric = cls() if free else None
        if metric is not None and not metric.gradients and (labelled or not metric.labelled):
            chosen.append(MetricUse(metric))
    return tuple(chosen)


def parse_metric(text: str) -> Metric:
    """A metric as ``name`` or ``name[parameter=value,...]``; values are TOML literals."""
    import pydantic

    found = re.fullmatch(r"([\w.:-]+)(?:\[(.*)\])?", text.strip())
    if found is None:
        raise UserError.at("--metric", f"{text!r} cannot be read", 'write it as "adversarial.pgd[epsilon=0.1]"')
    metric = _metric_class(found[1])
    given = parse_parameters(found[2] or "", f"--metric: {found[1]}")
    known = [f.name for f in fields(metric)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UserError([Problem("--metric", f"{found[1]} has no parameter {n!r}", nearest(n, known)) for n in unknown])
    try:
        return metric(**given)
    except pydantic.ValidationError as error:
        problems = [
            Problem(
                "--metric",
                f"{found[1]}[{'.'.join(str(p) for p in e['loc'])}]: {e['msg']}",
                f"see crbench describe {found[1]}",
            )
            for e in error.errors()
        ]
        raise UserError(problems) from None


def _metric_class(name: str) -> type[Metric]:
    try:
        metric = registered.get(name, "--metric")
    except UserError:
        raise
    except Exception as error:  # a user's own module may fail in any way
        what = f"{name!r} cannot be imported: {' '.join(f'{type(error).__name__}: {error}'.split())}"
        raise UserError.at("--metric", what, "mend its module") from error
    whole = isinstance(metric, type) and issubclass(metric, Metric) and is_dataclass(metric)
    if not whole or metric is Metric or inspect.isabstract(metric):
        raise UserError.at("--metric", f"{name!r} is no metric", "see crbench list metrics")
    return metric


def _declared(samples: Samples, limits: tuple[float, float], classes: int) -> InputSpec:
    shape = tuple(int(size) for size in samples.x.shape[1:])
    return InputSpec(shape=shape, classes=tuple(str(index) for index in range(classes)), bounds=limits)


def _classes(outside: dict[str, Outside], samples: Samples, limits: tuple[float, float]) -> int:
    """How many classes both networks answer; loading them here also finds every fault of the files first."""
    counts: dict[str, int] = {}
    for where, item in outside.items():
        declared = InputSpec.from_canonical(_declared(samples, limits, 0).canonical() | _unordered(item.input))
        counts[where] = len(_loaded(item, declared, samples, where).input.classes)
    if len(set(counts.values())) > 1:
        what = f"{counts['VARIANT']} classes, the reference has {counts['REFERENCE']}"
        raise UserError.at("VARIANT", what, "compare networks of the same classes")
    return counts["REFERENCE"]


def _loaded(item: Outside, declared: InputSpec, samples: Samples, where: str) -> Network:
    """The network with its classes counted; of several outputs that could be, the one of as many classes as labels."""
    files: dict[str, Any] = {"onnx": item.onnx, "factory": item.factory, "checkpoint": item.checkpoint}
    try:
        return load_outside(declared, where=where, **files)
    except UnusableNetwork:
        if samples.y is None:
            raise
        labelled = replace(declared, classes=tuple(map(str, range(int(samples.y.max(initial=0)) + 1))))
        try:
            return load_outside(labelled, where=where, **files)
        except UserError:
            pass
        raise


def _unordered(declared: dict[str, Any]) -> dict[str, Any]:
    """Without the order of classes, which can be checked once they are counted."""
    return {key: value for key, value in declared.items() if key != "order"}
