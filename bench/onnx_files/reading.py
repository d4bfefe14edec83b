"""Reading ONNX files from outside: checked, self-contained, and in a version that ONNX Runtime reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from bench.errors import UnusableNetwork, UserError
from bench.integer_sums.products import OPERANDS
from bench.networks.given_files import existing_file, named, refuse_pickle
from bench.networks.network import InputSpec
from bench.onnx_files.external_data import LARGEST, embed
from bench.onnx_files.interface import check_interface, one_line
from bench.onnx_files.limits import check_structure, check_tensors, check_work
from bench.onnx_files.walk import nodes_of, tensors_of

FREE_INITIALISERS = 4  # the first IR version whose initialisers need not be inputs
NEWEST_IR = 13  # ONNX Runtime 1.31 refuses 14, onnx's newest default
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


def read_onnx(source: Path | bytes, declared: InputSpec, where: str) -> bytes:
    """The bytes of a checked, self-contained ONNX file; the very bytes that were given where nothing had to change.

    External data inside the file's folder is embedded, a too new IR version lowered where the opset allows it. What
    ONNX Runtime runs and ONNX's rules forbid is put right: nodes out of order are sorted, stably; sizes of -1 become
    open; initialisers that are no inputs get the IR version that allows them.

    Raises:
        UserError: no such file, a pickle, no ONNX, external data outside the folder, not one input, another input
            shape or type than declared, operators that are not ONNX's, random numbers, or NaN weights.
    """
    model, blob, changed = _checked(source, where)
    check_interface(model, declared, where)
    check_work(model, declared, where)
    _check_weights(model, where)
    return model.SerializeToString(deterministic=True) if changed else blob


def self_contained(source: Path | bytes, where: str) -> bytes:
    """Read a file as ``read_onnx`` does, whatever it takes as its input.

    Raises:
        UserError: no such file, a pickle, no valid ONNX, external data outside the folder, operators that are not
            ONNX's, or random numbers.
    """
    model, blob, changed = _checked(source, where)
    return model.SerializeToString(deterministic=True) if changed else blob


def _checked(source: Path | bytes, where: str) -> tuple[onnx.ModelProto, bytes, bool]:
    """A valid model that ONNX Runtime reads, the bytes that were given, and whether it is another model than theirs."""
    model, blob, changed = _open(source, where)
    check_tensors(tensors_of(model), where)
    changed |= _settle_version(model, where)
    changed |= _free_unknown_sizes(model)
    changed |= _sort_nodes(model)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        what = f"{_title(source)} is no valid ONNX: {one_line(error)}"
        raise UnusableNetwork.at(where, what, "export it anew") from None
    _check_operators(model, where)
    return model, blob, changed


def _open(source: Path | bytes, where: str) -> tuple[onnx.ModelProto, bytes, bool]:
    """A model with its data inside, the bytes that were given, and whether any data had to be embedded."""
    folder = None if isinstance(source, bytes) else source.parent
    blob = source if isinstance(source, bytes) else _read(source, where)
    if not isinstance(source, bytes):
        refuse_pickle(source, blob[:8], where)
    model = _parse(blob, source, where)
    check_structure(model, where)
    return model, blob, embed(model, folder, where)


def _title(source: Path | bytes) -> str:
    return f"a model of {len(source)} bytes" if isinstance(source, bytes) else repr(str(source))


def onnx_sha256(source: Path | bytes) -> str:
    """Content hash of an ONNX file, with the data embedded that it keeps in other files; a broken one by its bytes.

    Data of every tensor counts, those of constants, subgraphs and local functions too.

    Raises:
        UserError: it cannot be read, or is larger than an ONNX file can be.
    """
    blob = source if isinstance(source, bytes) else _read(source, "onnx")
    try:
        model, _, changed = _open(source, "onnx")
        content = model.SerializeToString(deterministic=True) if changed else blob
    except UserError:  # said when it is loaded
        content = blob
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, where: str) -> bytes:
    """The bytes of a file, if they are not too many for an ONNX file."""
    size = existing_file(path, where).stat().st_size
    if size > LARGEST:
        raise UserError.at(where, f"{str(path)!r} has {size / 2**30:.1f} GiB", "an ONNX file has at most 2 GiB")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError.at(where, f"{str(path)!r} cannot be read: {error.strerror}", "give a file to read") from None


def is_quantised(model: bytes) -> bool:
    """Whether any operator of the graph rounds to integers."""
    return any(node.op_type in QUANTISED for node in nodes_of(onnx.load_model_from_string(model)))


def _parse(blob: bytes, source: Path | bytes, where: str) -> onnx.ModelProto:
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(blob)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.HasField("graph"):
        raise UnusableNetwork.at(
            where, f"{_title(source)} does not parse as ONNX", "give a file that an ONNX exporter wrote"
        )
    return model


def _settle_version(model: onnx.ModelProto, where: str) -> bool:
    """An IR version that ONNX Runtime reads and the initialisers allow; True where it was another."""
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset > defs.onnx_opset_version():
        right = f"export with opset {defs.onnx_opset_version()} or lower"
        raise UserError.at(where, f"opset {opset} is not known here", right)
    if model.ir_version < FREE_INITIALISERS:
        given = {value.name for value in model.graph.input}
        bare = any(tensor.name not in given for tensor in model.graph.initializer)
        model.ir_version = FREE_INITIALISERS if bare else model.ir_version
        return bare
    if model.ir_version <= NEWEST_IR:
        return False
    needed = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    if needed > NEWEST_IR:
        what = f"opset {opset} needs IR version {needed}, ONNX Runtime reads up to {NEWEST_IR}"
        raise UserError.at(where, what, "export with a lower opset")
    model.ir_version = NEWEST_IR
    return True


def _free_unknown_sizes(model: onnx.ModelProto) -> bool:
    """Sizes below zero, which some converters write, become open; True where there were any."""
    changed = False
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 0:
                dim.ClearField("dim_value")
                changed = True
    return changed


def _sort_nodes(model: onnx.ModelProto) -> bool:
    """Nodes in an order that can run, the file's own as far as it goes; True where it could not run."""
    from bench.onnx_import.parse import ordered

    changed = False
    waiting: list[tuple[Any, set[str]]] = [(model.graph, set())]
    while waiting:
        graph, outside = waiting.pop()
        known = outside | {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        known |= {sparse.values.name for sparse in graph.sparse_initializer}
        try:
            nodes = ordered(graph, known)
        except UserError:  # a cycle, or a value that nothing makes: the checker says so
            continue
        if [node.output[:] for node in nodes] != [node.output[:] for node in graph.node]:
            kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
            del graph.node[:]
            graph.node.extend(kept)
            changed = True
        made = known | {name for node in graph.node for name in node.output}
        waiting += [
            (inner, made)
            for node in graph.node
            for attribute in node.attribute
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
        ]
    return changed


def _check_operators(model: onnx.ModelProto, where: str) -> None:
    """Every operator must be ONNX's, ONNX Runtime's own, or a function inside the file."""
    inside = {(function.domain, function.name) for function in model.functions}
    strange = {
        f"{node.domain}.{node.op_type}"
        for node in nodes_of(model)
        if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in inside
    }
    if strange:
        what = f"it needs the custom operators {named(sorted(strange))}"
        raise UnusableNetwork.at(where, what, "export it with standard operators: no library of custom ones is loaded")
    random = sorted({node.op_type for node in nodes_of(model) if node.op_type in RANDOM} | _training_dropout(model))
    if random:
        what = f"it draws random numbers ({', '.join(random)}): no two measurements would agree"
        raise UnusableNetwork.at(where, what, "export it in evaluation mode, without them")


def _training_dropout(model: onnx.ModelProto) -> set[str]:
    """``Dropout`` where any of the file's is told, by a constant, to drop."""
    nodes = list(nodes_of(model))
    constants = {tensor.name: tensor for tensor in tensors_of(model) if tensor.name}
    for node in nodes:
        held = [item.t for item in node.attribute if node.op_type == "Constant" and item.HasField("t")]
        constants.update((name, held[0]) for name in node.output if held)
    told = [node.input[2] for node in nodes if node.op_type == "Dropout" and len(node.input) > 2]
    drops = any(numpy_helper.to_array(constants[name]).any() for name in told if name in constants)
    return {"Dropout"} if drops else set()


def _check_weights(model: onnx.ModelProto, where: str) -> None:
    bad = []
    for tensor in tensors_of(model):
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "V":  # bfloat16 and smaller, which numpy itself does not know
            values = values.astype(np.float32)
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            bad.append(tensor.name or "a constant")
    if bad:
        raise UserError.at(where, f"NaN or infinite weights in {named(bad)}", "give finite weights")
