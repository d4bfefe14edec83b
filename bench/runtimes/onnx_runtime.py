"""ONNX files on ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from bench.errors import UserError
from bench.graph.network import Network, OnnxNetwork
from bench.registry import nearest
from bench.runtimes.base import Predictor, PredictorSpec, Runtime, Target, runtimes

if TYPE_CHECKING:
    import torch
    from onnxruntime import InferenceSession

LEVELS: Final = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
INPUT_TYPES: Final = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
DYNAMIC: Final = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
INTEGER: Final = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"} | DYNAMIC
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

    def open(self, network: Network, target: Target, device: str, *, floor: bool = False) -> OnnxPredictor:
        """Open a predictor; where it runs is the target's provider, not ``device``.

        A missing provider, a file that cannot be loaded, or an input it does not take raises ``UserError``.
        """
        assert isinstance(network, OnnxNetwork)
        predictor = OnnxPredictor(network, target, target.threads + 1 if floor else target.threads)
        if floor:
            predictor.batch_size = FLOOR_BATCH
        predictor.check()
        return predictor


class OnnxPredictor(Predictor):
    """An ONNX file in an inference session."""

    def __init__(self, network: OnnxNetwork, target: Target, threads: int) -> None:
        self.network = network
        self.session = open_session(network, target, threads)
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(entry.name for entry in inputs)
            raise UserError.at("onnx", f"the file takes {len(inputs)} inputs ({names})", "it must take the image alone")
        self.input_name: str = inputs[0].name
        if inputs[0].type not in INPUT_TYPES:
            raise UserError.at("onnx", f"its input is {inputs[0].type}", f"it must be one of {', '.join(INPUT_TYPES)}")
        self.dtype = INPUT_TYPES[inputs[0].type]
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

    def check(self) -> None:
        """One sample at the lower bound must give one row of class scores; else ``UserError``."""
        import torch

        declared = self.network.input
        wanted = [size if isinstance(size, int) else "?" for size in self.shape[1:]]
        fits = len(wanted) == len(declared.shape) and all(
            size in ("?", given) for size, given in zip(wanted, declared.shape, strict=True)
        )
        if not fits:
            what = f"the file takes samples of shape {tuple(wanted)}, the data has {declared.shape}"
            raise UserError.at("input", what, "give a file that was exported for this data")
        sample = torch.full((1, *declared.shape), declared.bounds[0])
        try:
            shape = tuple(self.forward(self.preprocess(sample)).shape[1:])
        except Exception as error:  # the runtime's exceptions share no base class of their own
            what = f"ONNX Runtime cannot run one sample of shape {declared.shape}: {reason(error)}"
            raise UserError.at("onnx", what, "give a file that was exported for this data") from error
        classes = len(declared.classes)
        if len(shape) != 2 or (classes and shape[1] != classes):  # no classes declared: any number
            what = f"the file's first output has shape {shape} for one sample"
            raise UserError.at("onnx", what, f"it must be (1, {classes or 'classes'}), one score a class")


def open_session(network: OnnxNetwork, target: Target, threads: int, optimised: Path | None = None) -> InferenceSession:
    """An inference session; ``optimised`` is where the optimised graph is written, if anywhere."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if target.provider not in available:
        what = f"{target.provider!r} is not in onnxruntime {onnxruntime.__version__} as installed"
        raise UserError.at(f"target.{target.name}.provider", what, nearest(target.provider, available))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[target.optimisation])
    options.log_severity_level = 4  # errors are raised, not printed
    options.use_deterministic_compute = True
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    providers = list(dict.fromkeys([target.provider, "CPUExecutionProvider"]))
    try:
        session = onnxruntime.InferenceSession(network.model, options, providers=providers)
    except Exception as error:  # the runtime's exceptions share no base class of their own
        what = f"ONNX Runtime {onnxruntime.__version__} cannot load the file: {reason(error)}"
        raise UserError.at("onnx", what, "give a valid, self-contained ONNX file") from error
    if session.get_providers()[0] != target.provider:
        what = f"{target.provider!r} is installed and did not start on this machine"
        raise UserError.at(f"target.{target.name}.provider", what, "use CPUExecutionProvider")
    return session


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        open_session(network, target, target.threads, optimised=path)
        return operators(path.read_bytes())


def integer_kernels(counts: dict[str, int]) -> int:
    """How many convolutions and matrix products of a graph run on integers.

    >>> integer_kernels({"QLinearConv": 2, "QGemm": 1, "FusedConv": 1, "QuantizeLinear": 4})
    3
    """
    return sum(count for name, count in counts.items() if name in INTEGER)
