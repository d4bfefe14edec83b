"""The fixture ``crbench_pair``: a reference and a variant inside a Python test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from bench.data.npz import ARRAYS
from bench.engine.diff import pair_suite
from bench.errors import UserError
from bench.gate import Rule, judge_gate
from bench.outside_networks.packaged import is_packaged
from bench.pytest_plugin import store_url
from bench.pytest_plugin.explanation import sums_note
from bench.pytest_plugin.recognition import STORE_NOTE
from bench.registry import nearest
from bench.results import Cell, ValueResult
from bench.results.rules import RULES
from bench.runtimes.base import IntegerSums
from bench.study import Study
from bench.suite.given_network import as_network
from bench.suite.given_pair import COMMAND_LINE, Inputs, given_pair
from bench.suite.reuse import is_reusable
from bench.suite.suite import Outside
from bench.wording import plain, title

ARGUMENT_NAMES = COMMAND_LINE._replace(bounds="bounds", data="data", integer_sums="integer_sums", input="input")
KEYWORDS = (
    "reference", "variant", "data", "bounds", "yardsticks", "integer_sums", "not_applicable",
    "input", "reference_input", "variant_input",
)  # fmt: skip


class Figure(NamedTuple):
    """An estimate and its 95 % interval; an end is None where it is not known."""

    estimate: float
    low: float | None
    high: float | None


class PairFixture:
    """A reference and a variant, measured metric by metric as they are asked for; results are reused from the store.

    The fixture is the pair of the marker ``crbench``; a call of it is another one. Every ``assert_`` needs the whole
    95 % interval on the right side of the limit: what is inconclusive fails.
    """

    def __init__(self, request: pytest.FixtureRequest, given: Mapping[str, Any]) -> None:
        self._request = request
        self._given = given
        self._cells: dict[str, Cell] = {}  # of files and factories: what is in memory may change between two calls
        self._functions: dict[int, Outside] = {}  # a function is the same one as long as this pair

    @classmethod
    def of(cls, request: pytest.FixtureRequest) -> PairFixture:
        """The pair of the markers; keywords that stand nearer to the test win."""
        given: dict[str, Any] = {}
        for mark in reversed(list(request.node.iter_markers("crbench"))):
            if mark.args:
                raise _failed("@pytest.mark.crbench takes keywords only, such as reference=")
            given |= mark.kwargs
        return cls(request, given)

    def __call__(self, **given: Any) -> PairFixture:
        """Another pair; what is not given comes from the marker.

        Args:
            given: ``reference`` and ``variant``, each an ONNX file, ``module:factory[@checkpoint.safetensors]``, or a
                network in memory as ``bench.network`` takes it, which without a key is measured anew by each test;
                ``data``, an ``.npz`` with ``x`` and, if known, ``y``, or these arrays by name, or ``(x, y)``, or x
                alone; ``bounds``, the range of ``x``, by default (0, 1) if ``x`` lies in it; ``yardsticks``, networks
                as good as the reference,
                such as retrained ones: gaps need them, four for an interval; ``integer_sums``, how ONNX Runtime sums
                8-bit products: native, exact or saturating; ``input``, how both networks take their input, such as
                ``{"layout": "NHWC", "scale": 255}``, or ``reference_input`` and ``variant_input``, each alone;
                ``not_applicable``, globs of metrics that may be skipped, and the test with them: by default what is
                not measured fails. Paths are relative to the test's folder.
        """
        return PairFixture(self._request, {**self._given, **given})

    def cell(self, metric: str) -> Cell:
        """Everything one metric says; ``metric`` as in ``adversarial.pgd[epsilon=0.1]``."""
        if metric in self._cells:
            return self._cells[metric]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cell = self._measure(metric)
            self._request.node.user_properties += sums_note(cell)
        except UserError as error:
            raise _failed("\n".join(plain(problem) for problem in error.problems)) from None
        networks = [self._given["reference"], self._given["variant"], *self._given.get("yardsticks", ())]
        if all(isinstance(item, str | os.PathLike) for item in (*networks, self._given["data"])):
            self._cells[metric] = cell
        return cell

    def _measure(self, metric: str) -> Cell:
        self._check()
        folder = self._request.path.parent
        reference, variant = (self._network(self._given[name], folder) for name in ("reference", "variant"))
        bounds = self._given.get("bounds")
        limits = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        sums = self._given.get("integer_sums", "native")
        if sums not in get_args(IntegerSums):
            raise _failed(f"integer_sums={sums!r}; {nearest(str(sums), get_args(IntegerSums))}")
        inputs = Inputs(*(self._given.get(name) for name in ("input", "reference_input", "variant_input")))
        x, y = self._data(folder)
        pair = given_pair(
            reference, variant, x, y,
            metrics=(metric,), bounds=limits, integer_sums=sums, inputs=inputs, argument_names=ARGUMENT_NAMES,
            yardsticks=[self._network(item, folder) for item in self._given.get("yardsticks", ())],
        )  # fmt: skip
        suite, dataset = pair_suite(pair)
        config = self._request.config
        store = store_url(config) if is_reusable(suite) else self._request.getfixturevalue("_crbench_passing_store")
        run = Study(suite, store, config.getoption("crbench_device"), dataset=dataset)
        try:
            return run.measure(run.plan.cells[0]).cell
        finally:
            run.flush()
            self._request.node.user_properties += [(STORE_NOTE, line) for line in run.notices()]

    def _check(self) -> None:
        unknown = [name for name in self._given if name not in KEYWORDS]
        if unknown:
            raise _failed(f"crbench_pair knows no {unknown[0]!r}; {nearest(unknown[0], KEYWORDS)}")
        lacking = [name for name in KEYWORDS[:3] if self._given.get(name) is None]
        if lacking:
            raise _failed(f"crbench_pair needs {' and '.join(lacking)}: in @pytest.mark.crbench(...) or in its call")

    def _network(self, network: Any, folder: Path) -> Any:
        """A network as it was given, with paths relative to the test's folder."""
        if not callable(network) or hasattr(network, "state_dict"):
            return _located(network, folder)
        if id(network) not in self._functions:
            item = as_network(network, "network")
            assert item.held is not None
            self._functions[id(network)] = replace(item, held=replace(item.held, steady=True))
        return self._functions[id(network)]

    def _data(self, folder: Path) -> tuple[Any, Any]:
        """The file, or the arrays x and y."""
        data = self._given["data"]
        if isinstance(data, str | os.PathLike):
            return folder / Path(data), None
        if isinstance(data, Mapping):
            if "x" not in data or not data.keys() <= {"x", "y"}:
                raise _failed(f"data holds {', '.join(map(str, data)) or 'nothing'}; {ARRAYS}")
            return data["x"], data.get("y")
        return data if isinstance(data, tuple) and len(data) == 2 else (data, None)

    def value(self, metric: str, value: str) -> ValueResult:
        """One value with all that is known of it; fails the test where the metric could not be measured.

        It is skipped only where ``not_applicable`` names the metric and the metric says itself that it has no meaning.
        """
        cell = self.cell(metric)
        if cell.status == "skipped":
            name = metric.partition("[")[0]
            if any(fnmatchcase(name, pattern) for pattern in self._given.get("not_applicable", ())):
                raise pytest.skip.Exception(f"{metric}: {plain(cell.reason)}")
            raise _failed(f'{metric}: skipped: {plain(cell.reason)}\n  accept it by name: not_applicable=["{name}"]')
        if cell.status == "error":
            raise _failed(f"{metric}: {plain(cell.reason)}")
        if value not in cell.values:
            raise _failed(f"{metric} has no value {value!r}; {nearest(value, cell.values)}")
        return cell.values[value]

    def harm(self, metric: str, value: str) -> Figure:
        """The harm of the variant's own figure: positive is worse."""
        return self._estimate(metric, value, "max_harm", "harm")

    def change(self, metric: str, value: str) -> Figure:
        """The change between the two networks on the same samples."""
        return self._estimate(metric, value, "max_change", "change")

    def gap(self, metric: str, value: str) -> Figure:
        """The change on the yardsticks' scale: 1 is as different as a network that was trained again."""
        fitting = self._fitting(metric, value, "max_gap", "gap")
        if fitting.gap is None:
            raise _failed(f"{metric}, {title(value)}: no gap; {self._why_no_gap(fitting)}")
        return Figure(fitting.gap, *(fitting.gap_ci or (None, None)))

    def assert_harm_below(self, metric: str, value: str, limit: float) -> ValueResult:
        """Fail unless the harm is surely at most ``limit``."""
        return self._assert(metric, value, "max_harm", limit, "harm")

    def assert_change_below(self, metric: str, value: str, limit: float) -> ValueResult:
        """Fail unless the change is surely at most ``limit``."""
        return self._assert(metric, value, "max_change", limit, "change")

    def assert_gap_below(self, metric: str, value: str, limit: float) -> ValueResult:
        """Fail unless the gap is surely at most ``limit``."""
        return self._assert(metric, value, "max_gap", limit, "gap")

    def assert_value_at_least(self, metric: str, value: str, limit: float) -> ValueResult:
        """Fail unless the variant's own figure is surely at least ``limit``."""
        return self._assert(metric, value, "min_value", limit, "own figure")

    def assert_value_at_most(self, metric: str, value: str, limit: float) -> ValueResult:
        """Fail unless the variant's own figure is surely at most ``limit``."""
        return self._assert(metric, value, "max_value", limit, "own figure")

    def _estimate(self, metric: str, value: str, rule: Rule, word: str) -> Figure:
        fitting = self._fitting(metric, value, rule, word)
        if fitting.estimate is None:
            raise _failed(f"{metric}, {title(value)}: no {word}; {plain(fitting.reason)}")
        return Figure(fitting.estimate, *(fitting.ci or (None, None)))

    def _fitting(self, metric: str, value: str, rule: Rule, word: str) -> ValueResult:
        item = self.value(metric, value)
        if item.kind not in RULES[rule].kinds:
            raise _failed(f"{metric}, {title(value)} is a {item.kind}: it has no {word}")
        return item

    def _assert(self, metric: str, value: str, rule: Rule, limit: float, word: str) -> ValueResult:
        fitting = self._fitting(metric, value, rule, word)
        judged = judge_gate(fitting, rule, limit)
        if judged.verdict != "passed":
            advice = ""
            if rule == "max_gap" and fitting.gap is None:
                advice = f"\n  {self._why_no_gap(fitting)}"
            raise _failed(f"{metric}, {title(value)}: {judged.because} ({rule}, {judged.verdict}){advice}")
        return fitting

    def _why_no_gap(self, value: ValueResult) -> str:
        if self._given.get("yardsticks"):
            return plain(value.reason) or "the yardsticks give no scale"
        return "a gap needs yardsticks=[...]: networks that are as good as the reference, such as retrained ones"


def _located(network: Any, folder: Path) -> Any:
    """A file relative to the test's own folder; ``module:factory`` as it is, and its checkpoint like a file.

    What is in memory stays as it is.
    """
    if not isinstance(network, str | os.PathLike):
        return network
    text = os.fspath(network)
    factory, mark, checkpoint = text.partition("@")
    if is_packaged(text):
        return text
    if ":" in factory and not text.endswith(".onnx"):
        if mark and not is_packaged(checkpoint):
            checkpoint = str(folder / checkpoint)
        return f"{factory}@{checkpoint}" if mark else factory
    return str(folder / text)


def _failed(text: str) -> BaseException:
    return pytest.fail.Exception(text, pytrace=False)
