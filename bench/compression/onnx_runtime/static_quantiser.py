"""Static quantisation by ONNX Runtime's own quantisers, with ranges read off calibration samples."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, create_calibrator
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantizationMode, load_model_with_shape_infer
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from bench.compression.onnx_runtime.files import canonical, quiet
from bench.compression.onnx_runtime.options import StaticOptions

METHODS: Final = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
TYPES: Final = {"int8": "QInt8", "uint8": "QUInt8", "int16": "QInt16", "uint16": "QUInt16"}


def quantised_file(options: StaticOptions, simple: ModelProto, name: str, x: NDArray[Any], batch: int) -> bytes:
    """The bytes of the quantised file, by the parts of ONNX Runtime's tool.

    Its ready-made function does not pass the number of bins on.

    Args:
        options: integers, ranges and the format.
        simple: the simplified float model.
        name: of the input.
        x: preprocessed calibration samples (n, channels, height, width).
        batch: how many the file takes at a time.
    """
    kinds = sorted(QLinearOpsRegistry.keys() | QDQRegistry.keys())
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "simple.onnx"
        path.write_bytes(simple.SerializeToString())
        ranges = _ranges(options, path, kinds, reader(name, x, batch))
        symmetry = {"ActivationSymmetric": options.symmetric, "WeightSymmetric": options.weight_type == "int8"}
        widths = [getattr(QuantType, TYPES[kind]) for kind in (options.weight_type, options.activations)]
        first = [load_model_with_shape_infer(path), options.per_channel, options.reduce_range]
        last = [*widths, ranges, [], [], kinds, symmetry]
        if options.format == "qoperator":
            quantiser = ONNXQuantizer(*first, QuantizationMode.QLinearOps, True, *last)
        else:
            quantiser = QDQQuantizer(*first, *last)
        quantiser.quantize_model()
        result = Path(folder) / "result.onnx"  # saving it also sorts the nodes
        quantiser.model.save_model_to_file(result)
        return canonical(onnx.load(result))


def _ranges(options: StaticOptions, path: Path, kinds: list[str], samples: Any) -> Any:
    how: dict[str, Any] = {"symmetric": options.symmetric and options.method == "percentile"}
    if options.method != "minmax":
        how["num_bins"] = options.bins
    if options.method == "percentile":
        how["percentile"] = options.percentile
    calibrator = create_calibrator(
        path,
        kinds,
        augmented_model_path=str(path.with_name("augmented.onnx")),
        calibrate_method=getattr(CalibrationMethod, METHODS[options.method]),
        providers=["CPUExecutionProvider"],
        extra_options=how,
    )
    calibrator.collect_data(samples)
    return calibrator.compute_data()


def reader(name: str, x: NDArray[Any], batch: int) -> Any:
    """Feed preprocessed samples x (n, channels, height, width) to the calibration, ``batch`` at a time."""

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.start = 0

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            part = x[self.start : self.start + batch]
            self.start += batch
            return {name: np.ascontiguousarray(part)} if len(part) == batch else None

    return Reader()
