"""Reading ONNX files from outside: checked, self-contained, and in a version that ONNX Runtime reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UnusableNetwork, UserError
from bench.graph.integer_sums.products import OPERANDS
from bench.graph.network import InputSpec
from bench.models.checkpoint import existing_file, named, refuse_pickle

if TYPE_CHECKING:
    import onnx

NEWEST_IR = 13  # ONNX Runtime 1.31 refuses 14, onnx's newest default
LARGEST = 2**31 - 1  # bytes of one protobuf message
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"})
QUANTISED = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearAdd",
        "MatMulNBits",
        *OPERANDS,
    }
)


RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def read_onnx(path: Path, declared: InputSpec, where: str) -> bytes:
    """The bytes of a checked, self-contained ONNX file; the very bytes of the file where nothing had to change.

    External data inside the file's folder is embedded; a too new IR version is lowered where the opset allows it.

    Raises:
        UserError: no such file, a pickle, no ONNX, external data outside the folder, not one input and one output,
            another input shape or type than declared, operators that are not ONNX's, random numbers, or NaN weights.
    """
    import onnx

    blob = existing_file(path, where).read_bytes()
    refuse_pickle(path, blob[:8], where)
    model = _parse(blob, path, where)
    changed = _embed(model, path.parent, where)
    changed |= _lower_version(model, where)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise UnusableNetwork.at(where, f"{str(path)!r} is no valid ONNX: {_line(error)}", "export it anew") from None
    _check_operators(model, where)
    _check_interface(model, declared, where)
    _check_weights(model, where)
    return model.SerializeToString(deterministic=True) if changed else blob


def is_quantised(model: bytes) -> bool:
    """Whether any operator of the graph rounds to integers."""
    import onnx

    return any(node.op_type in QUANTISED for node in _nodes(onnx.load_model_from_string(model)))


def probe_classes(model: bytes, declared: InputSpec, where: str) -> int:
    """How many classes the network puts out, from one run of ONNX Runtime on two empty images.

    Raises:
        UnusableNetwork: ONNX Runtime cannot load or run it, or the output is not (batch, classes).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises bare exceptions of many types
        what = f"ONNX Runtime {onnxruntime.__version__} cannot load it: {_line(error)}"
        raise UnusableNetwork.at(where, what, "export it with standard operators") from None
    shown = ", ".join(map(str, declared.network_shape))
    entry = session.get_inputs()[0]
    try:
        x = np.zeros((2, *declared.network_shape), dtype=declared.dtype)
        output = session.run(None, {entry.name: x})[0]
    except Exception as error:
        free = [str(size) for size in entry.shape[1:] if not isinstance(size, int)]
        left = f"; the file leaves {', '.join(free)} open" if free else ""
        what = f"ONNX Runtime cannot run it on inputs (2, {shown}): {_line(error)}{left}"
        right = "export it with a dynamic batch and every other size fixed to the data's"
        raise UnusableNetwork.at(where, what, right) from None
    if output.ndim != 2 or len(output) != 2:
        raise UnusableNetwork.at(
            where, f"two images give an output of shape {output.shape}", "put out (batch, classes)"
        )
    return int(output.shape[1])


def _parse(blob: bytes, path: Path, where: str) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(blob)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.HasField("graph"):
        raise UnusableNetwork.at(
            where, f"{str(path)!r} does not parse as ONNX", "give a file that an ONNX exporter wrote"
        )
    return model


def _embed(model: onnx.ModelProto, folder: Path, where: str) -> bool:
    """Load external data into the model; True where there was any."""
    import onnx
    from onnx import external_data_helper

    external = [tensor for tensor in _tensors(model) if external_data_helper.uses_external_data(tensor)]
    total = 0
    for tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        target = (folder / location).resolve()
        if Path(location).is_absolute() or not target.is_relative_to(folder.resolve()):
            what = f"{tensor.name!r} keeps its data outside the file's folder: {location!r}"
            raise UserError.at(where, what, "put the data beside the ONNX file")
        if not target.is_file():
            raise UserError.at(where, f"{tensor.name!r} needs the data file {location!r}, which is not there", "add it")
        length = entries.get("length") or str(target.stat().st_size)
        if not length.isdecimal():
            raise UserError.at(where, f"{tensor.name!r} says its data has length {length!r}", "export it anew")
        total += int(length)
    if total > LARGEST:
        raise UserError.at(where, f"{total / 2**30:.1f} GiB of external data", "at most 2 GiB can be embedded")
    try:
        for tensor in external:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    except (onnx.checker.ValidationError, ValueError, OSError) as error:
        raise UserError.at(where, f"external data cannot be read: {_line(error)}", "export it anew") from None
    return bool(external)


def _lower_version(model: onnx.ModelProto, where: str) -> bool:
    """Lower the IR version to what ONNX Runtime reads; True where it was too new."""
    from onnx import defs, helper

    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset > defs.onnx_opset_version():
        right = f"export with opset {defs.onnx_opset_version()} or lower"
        raise UserError.at(where, f"opset {opset} is not known here", right)
    if model.ir_version <= NEWEST_IR:
        return False
    needed = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    if needed > NEWEST_IR:
        what = f"opset {opset} needs IR version {needed}, ONNX Runtime reads up to {NEWEST_IR}"
        raise UserError.at(where, what, "export with a lower opset")
    model.ir_version = NEWEST_IR
    return True


def _check_interface(model: onnx.ModelProto, declared: InputSpec, where: str) -> None:
    from onnx import TensorProto

    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    for kind, values in (("input", inputs), ("output", list(model.graph.output))):
        if len(values) != 1:
            what = f"{len(values)} {kind}s: {named([value.name for value in values]) or 'none'}"
            raise UnusableNetwork.at(where, what, f"give a network with one {kind}")
    tensor = inputs[0].type.tensor_type
    _check_type(TensorProto.DataType.Name(tensor.elem_type), inputs[0].name, declared, where)
    if not tensor.HasField("shape"):
        return  # unknown: the run on empty images decides
    found = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    shown = "(" + ", ".join("?" if size is None else str(size) for size in found) + ")"
    needed = declared.network_shape
    wanted = f"(batch, {', '.join(map(str, needed))})"
    pairs = zip(found[1:], needed, strict=False)
    if len(found) != 1 + len(needed) or any(size not in (None, asked) for size, asked in pairs):
        turned = replace(declared, layout="NHWC" if declared.layout == "NCHW" else "NCHW")
        fits = turned.network_shape != needed and found[1:] == list(turned.network_shape)
        right = f'declare input = {{ layout = "{turned.layout}" }}' if fits else "let network and data agree"
        raise UnusableNetwork.at(where, f"the input has shape {shown}, the data has {wanted}", right)
    if found[0] is not None:
        what = f"the batch size is fixed to {found[0]}"
        raise UnusableNetwork.at(where, what, "export with a dynamic first dimension")


def _check_type(kind: str, name: str, declared: InputSpec, where: str) -> None:
    """The input must be of the declared type."""
    wanted = {"float32": "FLOAT", "uint8": "UINT8"}[declared.dtype]
    if kind == wanted:
        return
    right = "export with a float32 input"
    if kind == "UINT8":
        right = 'declare input = { dtype = "uint8", scale = 255 } for data in [0, 1]'
    elif kind == "FLOAT":
        right = "leave dtype out: the network takes float32"
    declares = "" if declared.dtype == "float32" else f", declared is {wanted}"
    raise UnusableNetwork.at(where, f"the input {name!r} is {kind}{declares}", right)


def _check_operators(model: onnx.ModelProto, where: str) -> None:
    """Every operator must be ONNX's, ONNX Runtime's own, or a function inside the file."""
    inside = {(function.domain, function.name) for function in model.functions}
    strange = {
        f"{node.domain}.{node.op_type}"
        for node in _nodes(model)
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in inside
    }
    if strange:
        what = f"it needs the custom operators {named(sorted(strange))}"
        raise UnusableNetwork.at(where, what, "export it with standard operators: no library of custom ones is loaded")
    random = sorted({node.op_type for node in _nodes(model) if node.op_type in RANDOM} | _training_dropout(model))
    if random:
        what = f"it draws random numbers ({', '.join(random)}): no two measurements would agree"
        raise UnusableNetwork.at(where, what, "export it in evaluation mode, without them")


def _training_dropout(model: onnx.ModelProto) -> set[str]:
    """``Dropout`` where any of the file's is told, by a constant, to drop."""
    from onnx import numpy_helper

    nodes = list(_nodes(model))
    constants = {tensor.name: tensor for tensor in _tensors(model) if tensor.name}
    for node in nodes:
        held = [item.t for item in node.attribute if node.op_type == "Constant" and item.HasField("t")]
        constants.update((name, held[0]) for name in node.output if held)
    told = [node.input[2] for node in nodes if node.op_type == "Dropout" and len(node.input) > 2]
    drops = any(numpy_helper.to_array(constants[name]).any() for name in told if name in constants)
    return {"Dropout"} if drops else set()


def _check_weights(model: onnx.ModelProto, where: str) -> None:
    from onnx import numpy_helper

    bad = []
    for tensor in _tensors(model):
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "V":  # bfloat16 and smaller, which numpy itself does not know
            values = values.astype(np.float32)
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            bad.append(tensor.name or "a constant")
    if bad:
        raise UserError.at(where, f"NaN or infinite weights in {named(bad)}", "give finite weights")


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs and local functions too."""
    waiting: list[Iterable[Any]] = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting += [graph.node for graph in (*attribute.graphs, attribute.g)]


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor: initialisers and constants, those of subgraphs and local functions too."""
    yield from _initialisers(model.graph)
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            single = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in (*attribute.sparse_tensors, *single):
                yield from (sparse.values, sparse.indices)
            for graph in (*attribute.graphs, attribute.g):
                yield from _initialisers(graph)


def _initialisers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
