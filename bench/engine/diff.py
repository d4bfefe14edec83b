"""One pair of networks, or a reference and two variants, as a suite of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.data.base import Dataset, Loader, Samples
from bench.errors import UnusableNetwork, UserError, legible
from bench.networks.network import InputSpec, Network
from bench.runtimes.base import Target
from bench.suite.given_pair import GivenPair
from bench.suite.planned_networks import onnx_source, outside_kind
from bench.suite.suite import MetricUse, Outside, Reference, Suite, Variant, Yardstick

MARKS = frozenset("/*?[]")  # what parts the name of a cell, and globs over it


class _Given(Loader):
    """Stands where a suite names its loader; the data is handed over."""

    name = "npz"

    def load(self, evaluation: int, calibration: int) -> Dataset:
        raise AssertionError("the data of a diff is handed over")


def pair_suite(pair: GivenPair) -> tuple[Suite, Dataset]:
    """Load the networks once, so that whatever is wrong with them is found first, and make a suite of the pair."""
    samples, argument_names = pair.samples, pair.argument_names
    variants = _named(pair)
    networks = (pair.reference, *(item for _, item in variants), *pair.yardsticks)
    runtime = _runtime(networks)
    if pair.integer_sums != "native" and all(onnx_source(item) is None for item in networks):
        what = f"{pair.integer_sums!r} asked of torch networks{' and functions' if runtime == 'function' else ''}"
        raise UserError.at(argument_names.integer_sums, what, "it is of ONNX files")
    target = Target(name=runtime, runtime=runtime, integer_sums=pair.integer_sums)
    classes = _classes(pair)
    if samples.y is not None and int(samples.y.max(initial=0)) >= classes:
        what = f"a label is {int(samples.y.max())}"
        raise UserError.at(str(pair.file or "y"), what, f"the networks have classes 0 to {classes - 1}")
    empty = samples.take(slice(0, 0))
    dataset = Dataset(pair.data, _declared(samples, pair.bounds, classes), empty, empty, samples)
    suite = Suite(
        name="diff",
        path=pair.file or Path(pair.data),
        loader=_Given(),
        evaluation=len(samples),
        calibration=0,
        reference=Reference(outside=pair.reference),
        yardstick=Yardstick(outside=pair.yardsticks),
        targets=(target,),
        variants=tuple(Variant(name, outside=item) for name, item in variants),
        metrics=tuple(MetricUse(metric) for metric in pair.metrics),
    )
    return suite, dataset


def _named(pair: GivenPair) -> list[tuple[str, Outside]]:
    """The variant by its name, and the second one; by checkpoints or keys where the names would be one."""
    names = [legible(pair.variant.title.partition("@")[0])]
    if pair.beside is None:
        return [(names[0], pair.variant)]
    both = pair.variant, pair.beside
    names.append(legible(pair.beside.title.partition("@")[0]))
    if names[0] == names[1]:
        longer = [legible(item.title if item.held is None else item.held.key) for item in both]
        if longer[0] != longer[1] and all(longer) and not any(set(name) & MARKS for name in longer):
            names = longer
        else:
            names[1] = f"{names[1]} (beside)"
    return list(zip(names, both, strict=True))


def _runtime(networks: tuple[Outside, ...]) -> str:
    """The runtime that runs all of them: functions bring their own along, torch networks can be exported."""
    kinds = [outside_kind(item) for item in networks]
    if "function" in kinds:
        return "function"
    return "torch" if all(kind == "torch" for kind in kinds) else "onnxruntime"


def _declared(samples: Samples, limits: tuple[float, float], classes: int) -> InputSpec:
    shape = tuple(int(size) for size in samples.x.shape[1:])
    return InputSpec(shape=shape, classes=tuple(str(index) for index in range(classes)), bounds=limits)


def _classes(pair: GivenPair) -> int:
    """The number of classes that the networks answer; loading them here also finds every fault of the files first."""
    argument_names = pair.argument_names
    counts: list[int] = []
    given = [(argument_names.reference, pair.reference), (argument_names.variant, pair.variant)]
    if pair.beside is not None:
        given.append((argument_names.beside, pair.beside))
    for where, item in given:
        own = {key: value for key, value in item.input.items() if key != "order"}  # checked once they are counted
        declared = InputSpec.from_canonical(_declared(pair.samples, pair.bounds, 0).canonical() | own)
        counts.append(len(_loaded(item, declared, pair.samples, where).input.classes))
    for (where, _), count in zip(given, counts, strict=True):
        if count != counts[0]:
            what = f"{count} classes, the reference has {counts[0]}"
            raise UserError.at(where, what, "compare networks of the same classes")
    return counts[0]


def _loaded(item: Outside, declared: InputSpec, samples: Samples, where: str) -> Network:
    """The network with its classes counted; of several outputs that could be, the one of as many classes as labels."""
    from bench.outside_networks.loading import load_outside

    try:
        return load_outside(declared, where=where, **item.sources)
    except UnusableNetwork:
        if samples.y is None:
            raise
        labelled = replace(declared, classes=tuple(map(str, range(int(samples.y.max(initial=0)) + 1))))
        try:
            return load_outside(labelled, where=where, **item.sources)
        except UserError:
            pass
        raise
