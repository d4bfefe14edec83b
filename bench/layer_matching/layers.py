"""Divides an ONNX graph into layers; every node belongs to exactly one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from onnx import ModelProto, NodeProto, helper, numpy_helper

from bench.errors import UserError

OUTPUT: Final = -1  # stands for whoever reads the network's output
COMPUTING: Final = {
    "Conv": "convolution", "ConvInteger": "convolution", "FusedConv": "convolution", "NhwcFusedConv": "convolution",
    "ConvTranspose": "transposed convolution", "Gemm": "linear", "FusedGemm": "linear", "MatMul": "linear",
    "MatMulInteger": "linear", "FusedMatMul": "linear", "MatMulNBits": "linear", "MatMulIntegerToFloat": "linear",
    "DynamicQuantizeMatMul": "linear", "Einsum": "linear", "LSTM": "recurrent", "GRU": "recurrent", "RNN": "recurrent",
}  # fmt: skip
INTEGER_READERS: Final = {"ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"}
ACTIVATIONS: Final = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Gelu", "FastGelu",
     "Softplus", "Mish", "PRelu", "Erf", "Swish"}
)  # fmt: skip
QUIET: Final = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Identity"})
COMMUTATIVE: Final = frozenset({"add", "sum", "mul", "mean", "max", "min"})


@dataclass(frozen=True, eq=False)
class Layer:
    """A weighted operator or a join with all that follows until the next: bias, BatchNorm, activation, rounding.

    ``entries`` are the values it reads of other layers, ``exits`` what other layers read of it: real numbers, after
    dequantising.
    """

    kind: str  # convolution, linear, ..., a join's operator in lower case, or input
    name: str
    shape: tuple[int, ...] | None  # of the weights, outputs first; None for joins and where it is not known
    operators: tuple[str, ...]
    entries: tuple[str, ...]
    exits: tuple[str, ...]
    before_activation: str | None
    weighted: bool


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """Layers in an order that the graph alone decides: from the output back, depth first, inputs in their order."""

    model: ModelProto
    input: str
    output: str
    layers: tuple[Layer, ...]
    owner: dict[str, int]  # which layer makes a value
    readers: dict[str, frozenset[int]]  # which layers read a value; OUTPUT for the network's output
    dynamic: bool  # whether a sample's result depends on its batch


class _Scan:
    """One pass over the nodes, which gives each value its owner."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.constant: set[str] = set(self.stored)
        (self.input,) = [value.name for value in graph.input if value.name not in self.stored]
        self.output = graph.output[0].name
        self.owner: dict[str, int] = {self.input: 0}
        self.floating: dict[str, NodeProto] = {}  # made anew by whoever reads it
        self.made_by: dict[str, NodeProto] = {}
        self.members: list[list[NodeProto]] = [[]]
        self.kinds: list[str] = ["input"]
        nodes = _living(model, self.output)
        self.integers = {name for node in nodes if node.op_type in INTEGER_READERS for name in node.input[:1]}
        for node in nodes:
            self._assign(node)

    def _assign(self, node: NodeProto) -> None:
        for name in node.output:
            self.made_by[name] = node
        dynamic = [name for name in node.input if name and name not in self.constant]
        if not dynamic:
            self.constant.update(node.output)
            return
        computing = COMPUTING.get(node.op_type)
        if computing is None and self._floats(node, dynamic):
            self.floating.update(dict.fromkeys(node.output, node))
            return
        owners = {self.owner[name] for name in dynamic if name not in self.floating}
        if computing is None and len(owners) == 1:
            (block,) = owners
        else:
            block = len(self.members)
            self.members.append([])
            products = [name for name in dynamic if name not in self.floating]
            self.kinds.append("product" if computing == "linear" and len(products) > 1 else computing or "")
            self.kinds[-1] = self.kinds[-1] or node.op_type.lower()
        self.members[block].append(node)
        for name in filter(None, node.output):
            self.owner[name] = block

    def _floats(self, node: NodeProto, dynamic: list[str]) -> bool:
        """Whether it rounds what its reader reads, or counts sizes: then it belongs to the reader."""
        if node.op_type in {"DynamicQuantizeLinear", "Shape", "Size"}:
            return True
        if node.op_type == "QuantizeLinear" and node.output[0] in self.integers:
            return True
        return all(name in self.floating for name in dynamic)

    def sources(self, name: str) -> list[str]:
        """The values of layers that a value stands on; sizes do not count."""
        if name in self.constant or not name:
            return []
        if name not in self.floating:
            return [name]
        node = self.floating[name]
        if node.op_type in {"Shape", "Size"}:
            return []
        return [source for given in node.input for source in self.sources(given)]

    def entries(self, block: int) -> tuple[str, ...]:
        sources = [s for node in self.members[block] for name in node.input for s in self.sources(name)]
        return tuple(dict.fromkeys(name for name in sources if self.owner[name] != block or name == self.input))

    def weight(self, block: int) -> tuple[str, tuple[int, ...] | None]:
        """The name and shape (outputs first) of the first node's weights."""
        if not self.members[block] or self.members[block][0].op_type not in COMPUTING:
            return "", None
        node = self.members[block][0]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "MatMulNBits":
            return node.input[1], (int(attributes["N"]), int(attributes["K"]))
        position = next((i for i, name in enumerate(node.input[:2]) if name in self.constant), None)
        if position is None:
            return "", None
        root, shape = self._constant_shape(node.input[position])
        if shape is not None and len(shape) == 2 and not attributes.get("transB"):
            shape = shape[::-1]
        return root, shape

    def _constant_shape(self, name: str) -> tuple[str, tuple[int, ...] | None]:
        if name in self.stored:
            return name, tuple(int(size) for size in self.stored[name].dims)
        node = self.made_by[name]
        if node.op_type == "Constant":
            tensor = next((a.t for a in node.attribute if a.name == "value"), None)
            return name, None if tensor is None else tuple(numpy_helper.to_array(tensor).shape)
        if node.op_type in QUIET | {"Clip", "Mul", "Div", "Transpose"} and node.input:
            root, shape = self._constant_shape(node.input[0])
            if node.op_type == "Transpose" and shape is not None:
                order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
                shape = tuple(shape[i] for i in (order or range(len(shape) - 1, -1, -1)))
            return root, shape
        return "", None


def _living(model: ModelProto, output: str) -> list[NodeProto]:
    """The nodes that the output needs, in their order."""
    needed = {output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(filter(None, node.output)):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]


def read_layers(model: ModelProto) -> LayerGraph:
    """Take a graph with one input apart into layers.

    A node that is no weighted operator belongs to the layer of what it reads; where it reads two layers it begins one
    of its own. What rounds a layer's input dynamically, and what only counts sizes, belongs to its reader.

    Args:
        model: in the form of ``in_qdq_form``, nodes in an order that can run.

    Raises:
        UserError: the output does not depend on the input.
    """
    scan = _Scan(model)
    if scan.output not in scan.owner:
        raise UserError.at("onnx", f"the output {scan.output!r} is no layer's result", "give a network")
    entries = [scan.entries(block) for block in range(len(scan.members))]
    order = _canonical(scan, entries)
    position = {block: index for index, block in enumerate(order)}
    readers: dict[str, set[int]] = defaultdict(set)
    for block in order:
        for name in entries[block]:
            if scan.owner[name] != block:
                readers[name].add(position[block])
    readers[scan.output].add(OUTPUT)
    exits: dict[int, list[str]] = defaultdict(list)
    for name in (scan.input, *(n for node in _living(model, scan.output) for n in node.output)):
        if name in readers and name in scan.owner:
            exits[scan.owner[name]].append(name)
    names = _unique([_name(scan, block) for block in order])
    layers = tuple(
        Layer(
            kind=scan.kinds[block],
            name=name,
            shape=scan.weight(block)[1],
            operators=tuple(node.op_type for node in scan.members[block]),
            entries=entries[block] or ((scan.input,) if block == 0 else ()),
            exits=tuple(exits[block]),
            before_activation=_before_activation(scan, block),
            weighted=bool(scan.weight(block)[0]),
        )
        for block, name in zip(order, names, strict=True)
    )
    owner = {name: position[block] for name, block in scan.owner.items() if block in position}
    dynamic = any(node.op_type == "DynamicQuantizeLinear" for node in scan.made_by.values())
    frozen = {name: frozenset(positions) for name, positions in readers.items()}
    return LayerGraph(model, scan.input, scan.output, layers, owner, frozen, dynamic)


def _canonical(scan: _Scan, entries: list[tuple[str, ...]]) -> list[int]:
    """Layers after all they read; the deeper of two summands first, since tools swap them."""
    parents = [
        list(dict.fromkeys(scan.owner[n] for n in names if scan.owner[n] != p)) for p, names in enumerate(entries)
    ]
    depth: list[int] = []
    for block_parents in parents:  # layers were made in an order that can run
        depth.append(1 + max((depth[parent] for parent in block_parents), default=0))
    order: list[int] = []
    done: set[int] = set()
    waiting = [(scan.owner[scan.output], False)]
    while waiting:
        block, ready = waiting.pop()
        if block in done:
            continue
        if ready:
            done.add(block)
            order.append(block)
            continue
        waiting.append((block, True))
        above = parents[block]
        if scan.kinds[block] in COMMUTATIVE:
            above = sorted(above, key=lambda parent: -depth[parent])
        waiting += [(parent, False) for parent in reversed(above)]
    return order


def _before_activation(scan: _Scan, block: int) -> str | None:
    for node in scan.members[block]:
        if node.op_type in ACTIVATIONS and scan.owner.get(node.input[0]) == block and node.input[0] != scan.input:
            return str(node.input[0])
    return None


def _name(scan: _Scan, block: int) -> str:
    """The path of the torch module where the weights or the node tell it, else the node's or value's name."""
    if block == 0:
        return "input"
    root = scan.weight(block)[0]
    for ending in ("_quantized", "_q4", "_Q4"):
        root = root.removesuffix(ending)
    if root.endswith(".weight"):
        return root.removesuffix(".weight")
    node = scan.members[block][0]
    path, scopes = "", (node.name or node.output[0]).strip("/").split("/")
    if node.name.startswith("/") and len(scopes) > 1:
        for scope in scopes[:-1]:
            path = scope if not path or scope.startswith(f"{path}.") else f"{path}.{scope}"
        return path if node.op_type in COMPUTING else f"{path}.{scopes[-1]}"
    return "/".join(scopes)


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = defaultdict(int)
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out
