"""ONNX files on ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from bench.errors import NotApplicable, NotDifferentiable, UserError
from bench.graph.network import Network, OnnxNetwork
from bench.registry import nearest
from bench.runtimes.base import Optimisation, Predictor, PredictorSpec, Runtime, Target, runtimes

if TYPE_CHECKING:
    import torch
    from onnxruntime import InferenceSession, SessionOptions

    from bench.graph.onnx_import.twin import Twin

LEVELS: Final = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
INPUT_TYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
DYNAMIC: Final = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
INTEGER: Final = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"}
    | (DYNAMIC - {"DynamicQuantizeLinear"})  # which only quantises
)
FLOOR_BATCH = 96


@runtimes.register("onnxruntime")
class OnnxRuntime(Runtime):
    """ONNX Runtime with the target's provider, threads and optimisation level.

    The floor changes batch size and thread count only: the optimisation level belongs to the target, since it
    decides which kernels a quantised graph runs on.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"onnx", "onnx-quantised"})
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    gradients: ClassVar[int] = 1

    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> OnnxPredictor:
        """Open a predictor; where it runs is the target's provider, not ``device``.

        A missing provider, a file that cannot be loaded, or an input it does not take raises ``UserError``.
        """
        assert isinstance(network, OnnxNetwork)
        predictor = OnnxPredictor(network, target, target.threads + 1 if floor else target.threads)
        if floor:
            predictor.batch_size = FLOOR_BATCH
            predictor.wide = True
        predictor.check()
        return predictor


class OnnxPredictor(Predictor):
    """An ONNX file in an inference session; ``file`` is what the runtime opened."""

    network: OnnxNetwork
    _refusal: str = ""  # why the differentiable view is not trusted
    wide: bool = False  # whether the differentiable view of a float graph is computed in float64

    def __init__(self, network: OnnxNetwork, target: Target, threads: int) -> None:
        self.network = network
        self.threads = threads
        self.file, self.session = open_session(network, target, threads)
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(entry.name for entry in inputs)
            raise UserError.at("onnx", f"the file takes {len(inputs)} inputs ({names})", "it must take the image alone")
        self.input_name: str = inputs[0].name
        if inputs[0].type not in INPUT_TYPES:
            raise UserError.at("onnx", f"its input is {inputs[0].type}", f"it must be one of {', '.join(INPUT_TYPES)}")
        self.dtype = INPUT_TYPES[inputs[0].type]
        if self.dtype is np.uint8 and network.input.dtype != "uint8":  # a cast would cut digits off silently
            raise UserError.at("onnx", "its input is uint8", 'declare input = { dtype = "uint8" } with its scale')
        self.shape: list[Any] = list(inputs[0].shape)
        batch = self.shape[0] if self.shape else None
        self.fixed_batch: int | None = batch if isinstance(batch, int) else None
        dynamic = bool(DYNAMIC & set(operators(network.model)))
        self.spec = PredictorSpec(input=network.input, target=target, batch_dependent=dynamic)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, batch, classes) of one preprocessed batch."""
        import torch

        batch = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self.dtype)
        size = self.fixed_batch or len(batch)
        parts = [self._run(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return torch.from_numpy(np.concatenate(parts)).float().unsqueeze(0)

    def _run(self, batch: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
        missing = size - len(batch)
        full = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch
        out: np.ndarray[Any, Any] = self.session.run(None, {self.input_name: full})[0]
        return out[: len(batch)]

    @cached_property
    def graph(self) -> bytes:
        """The graph that the session runs; where its layout is the processor's own, the same one before that.

        The layouts of the level ``all`` change the order of sums in floating point and nothing else.
        """
        target = self.spec.target
        level: Optimisation = "extended" if target.optimisation == "all" else target.optimisation
        return _saved(self.network, replace(target, optimisation=level, format="onnx"), "ONNX")

    def trust(self, x: torch.Tensor) -> None:
        """Compare our import of the graph with the session on samples x; ``parity`` holds the figures.

        Raises:
            NotDifferentiable: it cannot be imported, or the two differ too much; says by how much.
        """
        import torch

        from bench.graph.onnx_import.parity import output_step, parity_of

        twin = self._twin("straight_through")
        size = 1 if self.spec.batch_dependent else self.batch_size
        try:
            with torch.no_grad():
                shown = torch.cat([twin(batch) for batch in torch.split(x, size)])
        except UserError as error:
            raise NotDifferentiable(f"the imported graph does not run: {error}") from error
        found = parity_of(shown, self.logits(x)[0], output_step(twin.network))
        self.parity = found.canonical()
        self._refusal = "" if found.trusted else f"the imported graph differs from ONNX Runtime's session {found}"
        if self._refusal:
            raise NotDifferentiable(self._refusal)

    def differentiable(
        self,
        combine: Literal["mean_probability"] = "mean_probability",
        gradient: Literal["exact", "straight_through", "hard"] = "exact",
    ) -> Twin:
        """Our import of the graph that the session runs, from user-space images to logits (batch, classes).

        Raises:
            NotDifferentiable: ``trust`` was not asked or refused, the graph cannot be imported, or exact gradients
                are asked of a graph that rounds.
        """
        if self.parity is None:
            raise NotDifferentiable("onnxruntime gives no gradients; call trust(samples) before its graph is imported")
        if self._refusal:
            raise NotDifferentiable(self._refusal)
        return self._twin(gradient)

    def _twin(self, gradient: Literal["exact", "straight_through", "hard"]) -> Twin:
        import torch

        from bench.graph.onnx_import.twin import Twin, doubled

        dtype = torch.from_numpy(np.zeros(1, dtype=self.dtype)).dtype
        declared = self.network.input
        twin = Twin(self.graph, gradient, declared, threads=self.threads, fixed_batch=self.fixed_batch, dtype=dtype)
        return doubled(twin) if self.wide else twin

    def check(self) -> None:
        """One sample at the lower bound must give one row of class scores, two must give two; else ``UserError``."""
        declared = self.network.input
        wanted = [size if isinstance(size, int) else "?" for size in self.shape[1:]]
        given = declared.network_shape
        fits = len(wanted) == len(given) and all(
            size in ("?", asked) for size, asked in zip(wanted, given, strict=True)
        )
        if not fits:
            what = f"the file takes samples of shape {tuple(wanted)}, the data has {given}"
            raise UserError.at("input", what, "give a file that was exported for this data")
        shape = self._shape_of(1, "give a file that was exported for this data")
        classes = len(declared.classes)
        if len(shape) != 2 or (classes and shape[1] != classes):  # no classes declared: any number
            what = f"the file's first output has shape {shape} for one sample"
            raise UserError.at("onnx", what, f"it must be (1, {classes or 'classes'}), one score a class")
        if self.fixed_batch is None and not self.spec.batch_dependent:
            advice = "declare a batch of 1 in the file, or export it with a free batch"
            both = self._shape_of(2, advice)
            if both != (2, *shape[1:]):
                raise UserError.at("onnx", f"the file's first output has shape {both} for two samples", advice)

    def _shape_of(self, count: int, advice: str) -> tuple[int, ...]:
        """The shape of the output for so many samples; ``UserError`` where the file does not run."""
        import torch

        declared = self.network.input
        sample = self.preprocess(torch.full((count, *declared.shape), declared.bounds[0]))
        try:
            return tuple(self.forward(sample).shape[1:])
        except Exception as error:  # the runtime's exceptions share no base class of their own
            samples = f"{'one sample' if count == 1 else f'{count} samples'} of shape {declared.shape}"
            what = f"ONNX Runtime cannot run {samples}: {reason(error)}"
            raise UserError.at("onnx", what, advice) from error


def session_options(target: Target, threads: int) -> SessionOptions:
    """The target's optimisation level on ``threads`` threads; errors are raised, not printed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[target.optimisation])
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    return options


def start_session(model: bytes | str, target: Target, options: SessionOptions) -> InferenceSession:
    """A session of a file's bytes or path; ``UserError`` where the provider is missing or the file cannot be loaded."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if target.provider not in available:
        what = f"{target.provider!r} is not in onnxruntime {onnxruntime.__version__} as installed"
        raise UserError.at(f"target.{target.name}.provider", what, nearest(target.provider, available))
    providers = list(dict.fromkeys([target.provider, "CPUExecutionProvider"]))
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # the runtime's exceptions share no base class of their own
        what = f"ONNX Runtime {onnxruntime.__version__} cannot load the file: {reason(error)}"
        raise UserError.at("onnx", what, "give a valid, self-contained ONNX file of standard operators") from error
    if session.get_providers()[0] != target.provider:
        what = f"{target.provider!r} is installed and did not start on this machine"
        raise UserError.at(f"target.{target.name}.provider", what, "use CPUExecutionProvider")
    return session


def open_session(network: OnnxNetwork, target: Target, threads: int) -> tuple[bytes, InferenceSession]:
    """The file that the target opens, and its session: the ONNX file, or an ``.ort`` file made from it.

    Raises:
        UserError: the provider is missing, or the ONNX file cannot be loaded.
        NotApplicable: the network cannot be stored as ``.ort``.
    """
    import onnxruntime

    options = session_options(target, threads)
    if target.format == "onnx":
        return network.model, start_session(network.model, target, options)
    try:
        file = _saved(network, target, "ORT")
        return file, start_session(file, target, options)
    except UserError as error:
        start_session(network.model, target, session_options(target, threads))  # is it the ONNX file's own fault?
        why = error.problems[0].what.partition("cannot load the file: ")[2] or str(error)
        what = f"onnxruntime {onnxruntime.__version__} cannot store this network as .ort: {why}"
        raise NotApplicable(what) from error


def _saved(network: OnnxNetwork, target: Target, kind: Literal["ONNX", "ORT"]) -> bytes:
    """The optimised graph as ONNX Runtime writes it; the name's ending tells it the format."""
    options = session_options(target, target.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"optimised.{kind.lower()}"
        options.optimized_model_filepath = str(path)
        start_session(network.model, target, options)
        return path.read_bytes()


def reason(error: Exception) -> str:
    """The first line of an exception's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def operators(model: bytes) -> dict[str, int]:
    """How often each operator occurs in an ONNX file, by name; bodies of branches, loops and functions count too."""
    import onnx

    def walk(nodes: Any) -> Any:
        for node in nodes:
            yield node.op_type
            for attribute in node.attribute:
                for graph in (attribute.g, *attribute.graphs):
                    yield from walk(graph.node)

    loaded = onnx.load_model_from_string(model)
    counts = Counter(walk(loaded.graph.node))
    for function in loaded.functions:
        counts.update(walk(function.node))
    return dict(sorted(counts.items()))


def optimised_operators(network: OnnxNetwork, target: Target) -> dict[str, int]:
    """How often each operator occurs in the graph that ONNX Runtime really runs on this target and machine."""
    return operators(_saved(network, target, "ONNX"))


def integer_kernels(counts: dict[str, int]) -> int:
    """How many convolutions and matrix products of a graph run on integers.

    >>> integer_kernels({"QLinearConv": 2, "QGemm": 1, "FusedConv": 1, "QuantizeLinear": 4})
    3
    """
    return sum(count for name, count in counts.items() if name in INTEGER)
