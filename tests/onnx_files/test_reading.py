"""ONNX files from outside: what is accepted, embedded, lowered, and refused."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.onnx_files.probing import probe_answer
from bench.onnx_files.reading import is_quantised, read_onnx

DECLARED = InputSpec(shape=(1, 2, 2), classes=("a", "b", "c"))
WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3) / 10


def model(weight=WEIGHT, shape=("n", 1, 2, 2), ir=10, opset=17, inputs=(), outputs=(), kind=TensorProto.FLOAT):
    """Flatten, then a matrix."""
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", kind, shape), *inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "classes"]), *outputs],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)])


def probe_classes(blob, declared, where):
    return probe_answer(blob, declared, where).classes


def read(path, made, declared=DECLARED):
    if isinstance(made, onnx.ModelProto):
        made = made.SerializeToString()
    path.write_bytes(made)
    return read_onnx(path, declared, "variant[0].onnx")


def test_a_good_file_is_taken_byte_for_byte(tmp_path):
    blob = read(tmp_path / "net.onnx", model())
    assert blob == model().SerializeToString()
    assert probe_classes(blob, DECLARED, "onnx") == 3
    assert not is_quantised(blob)
    listed = model(inputs=[helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3])])
    assert read(tmp_path / "net.onnx", listed)  # initialisers may be listed as inputs


def test_a_too_new_version_is_lowered_where_the_opset_allows(tmp_path):
    lowered = read(tmp_path / "net.onnx", model(ir=14))
    assert onnx.load_model_from_string(lowered).ir_version == 13
    x = np.ones((2, 1, 2, 2), dtype=np.float32)
    session = onnxruntime.InferenceSession(lowered, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0][0], WEIGHT.sum(axis=0), rtol=1e-6)
    newest = onnx.defs.onnx_opset_version()
    with pytest.raises(UserError, match=f"opset {newest} needs IR version 14, ONNX Runtime reads up to 13"):
        read(tmp_path / "net.onnx", model(ir=14, opset=newest))
    with pytest.raises(UserError, match="opset 99 is not known here"):
        read(tmp_path / "net.onnx", model(opset=99))


def external(folder, location, write=True):
    made = model()
    tensor = made.graph.initializer[0]
    raw = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": str(len(raw))}.items():
        tensor.external_data.add(key=key, value=value)
    if write:
        (folder / location).resolve().parent.mkdir(exist_ok=True)
        (folder / location).resolve().write_bytes(raw)
    return made


@pytest.mark.parametrize("location", ["net.data", "weights/net.data"])
def test_external_data_beside_the_file_is_embedded(tmp_path, location):
    blob = read(tmp_path / "net.onnx", external(tmp_path, location))
    found = onnx.load_model_from_string(blob).graph.initializer[0]
    np.testing.assert_array_equal(numpy_helper.to_array(found), WEIGHT)
    assert probe_classes(blob, DECLARED, "onnx") == 3


def test_external_data_elsewhere_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    for location in ("../out.data", str(tmp_path / "out.data"), "a/../../out.data"):
        (home / "a").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="keeps its data outside the file's folder"):
            read(home / "net.onnx", external(home, location))
    (home / "link.data").symlink_to(tmp_path / "out.data")
    with pytest.raises(UserError, match="keeps its data outside the file's folder"):
        read(home / "net.onnx", external(home, "link.data", write=False))
    with pytest.raises(UserError, match=r"needs the data file 'none\.data', which is not there"):
        read(home / "net.onnx", external(home, "none.data", write=False))
    short = external(home, "short.data")
    (home / "short.data").write_bytes(b"1234")
    with pytest.raises(UserError, match="cannot be read"):
        read(home / "net.onnx", short)


@pytest.mark.parametrize("length", ["abc", "-4", "1e3"])
def test_external_data_of_a_senseless_length_is_refused(tmp_path, length):
    made = external(tmp_path, "net.data")
    next(e for e in made.graph.initializer[0].external_data if e.key == "length").value = length
    with pytest.raises(UserError, match="says its data has length"):
        read(tmp_path / "net.onnx", made)


NAN = np.where(WEIGHT > 1, np.nan, WEIGHT)
BAD = {
    "text": (b"hello", "does not parse as ONNX"),
    "empty": (b"", "does not parse as ONNX"),
    "cut": (model().SerializeToString()[:-40], "does not parse as ONNX|no valid ONNX"),
    "pickle": (b"\x80\x04\x95", "is a pickle"),
    "zip": (b"PK\x03\x04aaaa", "is a pickle"),
    "NaN": (model(weight=NAN), "NaN or infinite weights in 'w'"),
    "half NaN": (model(weight=NAN.astype(np.float16)), "NaN or infinite weights in 'w'|no valid ONNX"),
    "bfloat16 NaN": (model(weight=NAN.astype(ml_dtypes.bfloat16)), "NaN or infinite weights in 'w'|no valid ONNX"),
    "two inputs": (model(inputs=[helper.make_tensor_value_info("z", 1, [1])]), "2 inputs: 'x', 'z'"),
    "whole numbers": (model(kind=TensorProto.INT64), "the input 'x' is INT64; export with a float32 input"),
    "shape": (model(shape=("n", 3, 2, 2)), r"input has shape \(\?, 3, 2, 2\), the data has \(batch, 1, 2, 2\)"),
    "rank": (model(shape=("n", 4)), r"input has shape \(\?, 4\), the data has"),
}


@pytest.mark.parametrize(("made", "said"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, made, said):
    with pytest.raises(UserError, match=said) as error:
        read(tmp_path / "net.onnx", made)
    assert str(error.value).startswith("variant[0].onnx: ")
    assert "\n" not in str(error.value)


def test_nan_in_constants_and_subgraphs_is_found(tmp_path):
    def constant(name):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(NAN, "bad"))

    made = model()
    made.graph.node.insert(0, constant("w2"))
    with pytest.raises(UserError, match="NaN or infinite weights in 'bad'"):
        read(tmp_path / "net.onnx", made)
    branches = {
        f"{kind}_branch": helper.make_graph(
            [constant("out")], kind, [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [4, 3])]
        )
        for kind in ("then", "else")
    }
    made = model()
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    made.graph.node.insert(0, helper.make_node("If", ["yes"], ["w2"], **branches))
    with pytest.raises(UserError, match="NaN or infinite weights in 'bad', 'bad'"):
        read(tmp_path / "net.onnx", made)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="no file"):
        read_onnx(tmp_path / "none.onnx", DECLARED, "onnx")
    with pytest.raises(UserError, match="is a folder"):
        read_onnx(tmp_path, DECLARED, "onnx")


def test_the_run_decides_where_shapes_are_unknown(tmp_path):
    blob = read(tmp_path / "net.onnx", model(shape=("n", "c", "h", "w")))
    with pytest.raises(UserError, match=r"cannot run it on inputs \(2, 3, 2, 2\)"):
        probe_classes(blob, InputSpec(shape=(3, 2, 2), classes=()), "onnx")
    deep = model()
    deep.graph.node[1].output[0] = "flat_y"
    deep.graph.node.append(helper.make_node("Unsqueeze", ["flat_y", "axis"], ["y"]))
    deep.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    deep.graph.output[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 1, "classes"]))
    with pytest.raises(
        UserError, match=r"two images give 'y' float32 of shape \(2, 1, 3\); put out \(batch, classes\)"
    ):
        probe_classes(read(tmp_path / "net.onnx", deep), DECLARED, "onnx")


def test_quantised_files_are_recognised(tmp_path):
    made = model()
    scale = [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.uint8(0), "z")]
    made.graph.initializer.extend(scale)
    made.graph.node[1].input[0] = "rounded"
    made.graph.node.insert(1, helper.make_node("QuantizeLinear", ["flat", "s", "z"], ["q"]))
    made.graph.node.insert(2, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["rounded"]))
    assert is_quantised(read(tmp_path / "net.onnx", made))


def custom(domain="acme"):
    """The usual network with an operator of somebody's own at its end."""
    made = model()
    made.graph.node[-1].output[0] = "before"
    made.graph.node.append(helper.make_node("Sharpen", ["before"], ["y"], domain=domain))
    made.opset_import.append(helper.make_opsetid(domain, 1))
    return made


def test_custom_operators_are_named(tmp_path):
    with pytest.raises(
        UserError, match=r"custom operators 'acme\.Sharpen'; export it with standard operators"
    ) as error:
        read(tmp_path / "net.onnx", custom())
    assert "\n" not in str(error.value)
    inside = custom()
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    inside.functions.append(helper.make_function("acme", "Sharpen", ["a"], ["b"], body, opsets))
    assert probe_classes(read(tmp_path / "net.onnx", inside), DECLARED, "onnx") == 3  # a function inside the file


def test_an_operator_that_the_runtime_lacks(tmp_path):
    blob = read(tmp_path / "net.onnx", custom("com.microsoft"))
    with pytest.raises(
        UserError, match=r"ONNX Runtime [\d.]+ cannot load it: .*Sharpen.*; export it with standard"
    ) as error:
        probe_classes(blob, DECLARED, "onnx")
    assert "\n" not in str(error.value)


def test_sizes_left_open(tmp_path):
    """Open sizes serve where the network runs on the data; else they are named."""
    blob = read(tmp_path / "net.onnx", model(shape=("n", 1, "height", "width")))
    assert probe_classes(blob, DECLARED, "onnx") == 3
    larger = InputSpec(shape=(1, 3, 2), classes=())
    with pytest.raises(
        UserError, match=r"cannot run it on inputs \(2, 1, 3, 2\): .*the file leaves height, width open"
    ):
        probe_classes(blob, larger, "onnx")


def test_layout_and_type(tmp_path):
    declared = InputSpec(shape=(4, 1, 1), classes=())
    channels_last = model(shape=("n", 1, 1, 4))
    path = tmp_path / "net.onnx"
    path.write_bytes(channels_last.SerializeToString())
    with pytest.raises(UserError, match=r'the data has \(batch, 4, 1, 1\); declare input = \{ layout = "NHWC" \}'):
        read_onnx(path, declared, "onnx")
    turned = replace(declared, layout="NHWC")
    assert probe_classes(read_onnx(path, turned, "onnx"), turned, "onnx") == 3
    path.write_bytes(model(kind=TensorProto.UINT8).SerializeToString())
    with pytest.raises(
        UserError, match=r"the input 'x' is UINT8; declare input = \{ dtype = \"uint8\", scale = 255 \}"
    ):
        read_onnx(path, DECLARED, "onnx")
    path.write_bytes(model().SerializeToString())
    with pytest.raises(UserError, match="the input 'x' is FLOAT, declared is UINT8; leave dtype out"):
        read_onnx(path, replace(DECLARED, dtype="uint8", scale=255.0), "onnx")


def noisy(nodes, inits=()):
    """The network, with more behind its matrix."""
    made = model()
    made.graph.node[1].output[0] = "p"
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(inits)
    return made


def test_a_network_that_draws_random_numbers_is_refused(tmp_path):
    like = [helper.make_node("RandomNormalLike", ["p"], ["r"]), helper.make_node("Add", ["p", "r"], ["y"])]
    with pytest.raises(UserError, match=r"draws random numbers \(RandomNormalLike\)"):
        read(tmp_path / "net.onnx", noisy(like))
    half, on, off = (
        numpy_helper.from_array(np.array(value, kind), name)
        for value, kind, name in ((0.5, np.float32, "half"), (True, bool, "mode"), (False, bool, "mode"))
    )
    drop = [helper.make_node("Dropout", ["p", "half", "mode"], ["y"])]
    for made in (
        noisy(drop, [half, on]),
        noisy([helper.make_node("Constant", [], ["mode"], value=on), *drop], [half]),
    ):
        with pytest.raises(UserError, match=r"random numbers \(Dropout\)"):
            read(tmp_path / "net.onnx", made)
    assert read(tmp_path / "net.onnx", noisy(drop, [half, off]))
    assert read(tmp_path / "net.onnx", noisy([helper.make_node("Dropout", ["p"], ["y"])]))
