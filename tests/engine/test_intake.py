"""Networks from outside: probabilities, batches and chance, found on real samples and read right on every road."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from bench import api
from bench.data.digits import Digits
from bench.engine.intake import take_in
from bench.errors import UserError
from bench.networks.network import InputSpec
from bench.results import LayerReport
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor
from bench.suite.suite import Outside

WEIGHT = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
EDGE = Target(name="edge", runtime="onnxruntime")
CPU = Target(name="cpu")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(200, 16).evaluation


DECLARED = InputSpec(shape=(1, 8, 8), classes=tuple(map(str, range(10))))


def onnx_file(path, *ends, weight=WEIGHT, initialisers=(), opset=13):
    """A linear classifier; ``ends`` are operators, or nodes, that follow one another."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["z0"])]
    for index, end in enumerate(ends):
        made = helper.make_node(end, [], []) if isinstance(end, str) else end
        made.input.insert(0, f"z{index}")
        made.output.append(f"z{index + 1}")
        nodes.append(made)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info(f"z{len(ends)}", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(weight, "w"), *initialisers],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]), path)
    return path


QUANTISERS = [numpy_helper.from_array(np.float32(1 / 256), "s"), numpy_helper.from_array(np.uint8(0), "zero")]


def quantised_softmax(path, weight=WEIGHT):
    ends = [
        helper.make_node("Softmax", [], []),
        helper.make_node("QuantizeLinear", ["s", "zero"], []),
        helper.make_node("DequantizeLinear", ["s", "zero"], []),
    ]
    return onnx_file(path, *ends, weight=weight, initialisers=QUANTISERS)


FACTORIES = """
import numpy as np
import torch
from torch import nn
from torch.nn import functional

WEIGHT = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32))

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat, self.head = nn.Flatten(), nn.Linear(64, 10, bias=False)
        self.head.weight.data = WEIGHT.T.clone()
    def scores(self, x): return self.head(self.flat(x))
    def forward(self, x): return self.scores(x)

class Functional(Base):
    def forward(self, x):
        attention = torch.softmax(x, dim=-1)  # another softmax, which stays
        return functional.softmax(self.scores(x + 0 * attention), dim=1)

class ByHand(Base):
    def forward(self, x):
        z = self.scores(x).exp()
        return z / z.sum(1, keepdim=True)

class Statistics(Base):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)
    def forward(self, x): return self.scores(self.norm(x))

class Company(Base):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(10, track_running_stats=False)
    def forward(self, x): return self.norm(self.scores(x))

class Dropped(Base):
    def forward(self, x): return self.scores(functional.dropout(x, 0.1))

class NumpyNoise(Base):
    def forward(self, x): return self.scores(x) + float(np.random.default_rng().normal())  * torch.arange(10)

def plain(): return Base()
def softmax(): return nn.Sequential(Base(), nn.Softmax(dim=1))
def log_softmax(): return nn.Sequential(Base(), nn.LogSoftmax(dim=1))
def within(): return Functional()
def by_hand(): return ByHand()
def scripted():
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(softmax())
def statistics(): return Statistics()
def company(): return Company()
def dropped(): return Dropped()
def noisy(): return NumpyNoise()
"""


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "taken_in.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "taken_in"


def expected(x):
    return x.reshape(len(x), 64).astype(np.float64) @ WEIGHT.astype(np.float64)


def logits(network):
    return lambda x: (
        open_predictor(network, EDGE if network.kind.startswith("onnx") else CPU).logits(torch.from_numpy(x))[0].numpy()
    )


def test_a_softmax_at_the_end_of_a_file_is_cut_off(tmp_path, digits):
    network = take_in(Outside(onnx=onnx_file(tmp_path / "net.onnx", "Softmax")), DECLARED, digits.x)
    assert network.input.output == network.record["input"]["output"] == "probabilities"
    assert network.model == (tmp_path / "net.onnx").read_bytes()  # costs are those of the whole file
    np.testing.assert_allclose(logits(network)(digits.x), expected(digits.x), rtol=1e-4, atol=1e-4)
    predictor = open_predictor(network, EDGE)
    x = torch.from_numpy(digits.x)
    predictor.trust(x)
    np.testing.assert_allclose(predictor.differentiable()(x).numpy(), expected(digits.x), rtol=1e-4, atol=1e-4)
    session = onnxruntime.InferenceSession(network.model, providers=["CPUExecutionProvider"])
    assert predictor.parity["shipped"]["largest_probability_difference"] < 1e-6
    shipped = predictor.as_shipped().logits(x)[0].numpy()
    np.testing.assert_array_equal(shipped, session.run(None, {"x": digits.x})[0])


def test_what_moves_values_behind_a_softmax_does_not_hide_it(tmp_path, digits):
    shape = numpy_helper.from_array(np.array([0, 10]), "shape")
    path = onnx_file(
        tmp_path / "net.onnx", "Softmax", helper.make_node("Reshape", ["shape"], []), "Identity", initialisers=[shape]
    )
    network = take_in(Outside(onnx=path), DECLARED, digits.x)
    np.testing.assert_allclose(logits(network)(digits.x), expected(digits.x), rtol=1e-4, atol=1e-4)


def test_a_quantised_softmax_stays_and_zeros_count_as_a_step(tmp_path, digits):
    network = take_in(Outside(onnx=quantised_softmax(tmp_path / "net.onnx")), DECLARED, digits.x)
    assert network.input.output == "probabilities"
    p = torch.from_numpy(expected(digits.x)).softmax(1).numpy()
    rounded = np.clip(np.round(p * 256), 0, 255) / 256
    assert (np.abs(rounded.sum(1) - 1) > 1e-3).any()
    assert (rounded == 0).any()
    found = logits(network)(digits.x)
    np.testing.assert_allclose(found, np.log(np.maximum(rounded, 1 / 256)), atol=np.log(2))  # ties may round apart
    assert np.median(np.abs(found - np.log(np.maximum(rounded, 1 / 256)))) < 1e-5
    assert open_predictor(network, EDGE).spec.softmax == "kept"


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, of a copied script
@pytest.mark.parametrize(
    ("name", "how"), [("softmax", "removed"), ("within", "removed"), ("by_hand", "kept"), ("scripted", "kept")]
)
def test_a_softmax_inside_a_torch_network(factory, digits, name, how):
    network = take_in(Outside(factory=f"{factory}:{name}"), DECLARED, digits.x)
    assert network.input.output == "probabilities"
    predictor = open_predictor(network, CPU)
    assert predictor.spec.softmax == how
    own = predictor.logits(torch.from_numpy(digits.x))[0].double()
    right = torch.from_numpy(expected(digits.x))
    torch.testing.assert_close(own.softmax(1), right.softmax(1), rtol=1e-4, atol=1e-6)
    if how == "removed":
        torch.testing.assert_close(own, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["plain", "log_softmax"])
def test_logits_stay_logits(factory, digits, name):
    assert take_in(Outside(factory=f"{factory}:{name}"), DECLARED, digits.x).input.output == "logits"


def test_a_declaration_that_the_answers_contradict(factory, digits, tmp_path):
    outside = Outside(factory=f"{factory}:plain", input={"output": "probabilities"})
    declared = InputSpec.from_canonical(DECLARED.canonical() | outside.input)
    said = r"^variant\.input\.output: declared are probabilities; on 64 samples the outputs lie in \[.* and sum to"
    with pytest.raises(UserError, match=said):
        take_in(outside, declared, digits.x, "variant")
    kept = Outside(onnx=onnx_file(tmp_path / "net.onnx", "Softmax"), input={"output": "logits"})
    assert take_in(kept, DECLARED, digits.x).input.output == "logits"  # who says so is believed


def nll_and_js(first, second, y):
    """By hand: the mean negative log likelihood of the second, and the mean Jensen-Shannon divergence."""
    p, q = (torch.from_numpy(z).softmax(1).numpy() for z in (first, second))
    m = (p + q) / 2
    js = ((p * np.log(p / m)).sum(1) + (q * np.log(q / m)).sum(1)) / 2
    return -np.log(q[np.arange(len(y)), y]).mean(), js.mean()


def data_file(path, digits):
    np.savez(path, x=digits.x, y=digits.y)
    return path


def test_diff_reads_probabilities_as_such(tmp_path, digits):
    """Logits beside probabilities, and probabilities beside logits: the same figures as by hand."""
    other = WEIGHT + 0.05 * np.random.default_rng(1).normal(size=WEIGHT.shape).astype(np.float32)
    files = {
        end: {
            name: onnx_file(tmp_path / f"{name}{end}.onnx", *([end] if end else []), weight=weight)
            for name, weight in (("reference", WEIGHT), ("variant", other))
        }
        for end in ("", "Softmax")
    }
    data = data_file(tmp_path / "data.npz", digits)
    right = nll_and_js(expected(digits.x), digits.x.reshape(-1, 64).astype(np.float64) @ other, digits.y)
    for ours, theirs in (("", "Softmax"), ("Softmax", ""), ("Softmax", "Softmax")):
        results = api.diff(str(files[ours]["reference"]), str(files[theirs]["variant"]), data)
        cells = {cell.metric: cell for cell in results.cells}
        nll = cells["uncertainty.calibration"].values["nll"].variant
        js = cells["fidelity.predictions"].values["js"].estimate
        np.testing.assert_allclose([nll, js], right, rtol=1e-4)
        told = [line for line in results.run.warnings if "outputs are probabilities" in line]
        assert told == [
            f"{', '.join(['the reference'] * bool(ours) + ['variantSoftmax.onnx'] * bool(theirs))}: outputs are "
            "probabilities: logits are read before the final softmax, costs with it"
        ]


def test_why_diverged_reads_probabilities_as_such(tmp_path, digits):
    from bench.engine.layer_culprits import why_diverged

    other = WEIGHT + 0.05 * np.random.default_rng(1).normal(size=WEIGHT.shape).astype(np.float32)
    ours = onnx_file(tmp_path / "a.onnx", "Softmax")
    theirs = onnx_file(tmp_path / "b.onnx", weight=other)
    found = why_diverged(str(ours), str(theirs), data_file(tmp_path / "data.npz", digits))
    _, js = nll_and_js(expected(digits.x), digits.x.reshape(-1, 64).astype(np.float64) @ other, digits.y)
    np.testing.assert_allclose(found.deployed.js.estimate, js, rtol=1e-4)
    np.testing.assert_allclose(found.divergence.js.estimate, js, rtol=1e-4)
    assert LayerReport.model_validate_json(found.model_dump_json()) == found


def test_why_diverged_counts_a_zero_as_a_step(tmp_path, digits):
    """Both quantise their softmax; by hand from the two sessions' answers."""
    from bench.engine.layer_culprits import why_diverged

    other = WEIGHT + 0.05 * np.random.default_rng(1).normal(size=WEIGHT.shape).astype(np.float32)
    paths = [quantised_softmax(tmp_path / f"{k}.onnx", weight) for k, weight in enumerate((WEIGHT, other))]
    found = why_diverged(*map(str, paths), data_file(tmp_path / "data.npz", digits))
    sessions = [onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in paths]
    logs = [np.log(np.maximum(item.run(None, {"x": digits.x})[0], 1 / 256)).astype(np.float64) for item in sessions]
    _, js = nll_and_js(*logs, digits.y)
    np.testing.assert_allclose(found.deployed.js.estimate, js, rtol=1e-4)
    np.testing.assert_allclose(found.divergence.js.estimate, js, rtol=0.02)  # ties may round apart


SUITE = """
name = "taken"
[data]
loader = "digits"
evaluation = 200
calibration = 16
[reference]
{reference}
[[variant]]
name = "other"
{variant}
[[metric]]
use = "fidelity.predictions"
"""


def run(tmp_path, reference, variant):
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE.format(reference=reference, variant=variant))
    return api.run(suite, store=str(tmp_path / "store"))


def test_batch_statistics_are_found_and_every_sample_runs_alone(factory, tmp_path, digits):
    network = take_in(Outside(factory=f"{factory}:statistics"), DECLARED, digits.x)
    assert network.record["batch_dependent"] is True
    assert network.batch_dependent
    predictor = open_predictor(network, CPU)
    x = torch.from_numpy(digits.x[:12])
    each = functional.instance_norm(x)  # one image at a time: its own mean and variance
    torch.testing.assert_close(
        predictor.logits(x)[0], torch.from_numpy(expected(each.numpy())).float(), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(predictor.logits(x)[:, :5], predictor.logits(x[:5]), rtol=0, atol=0)
    results = run(tmp_path, f'factory = "{factory}:plain"', f'factory = "{factory}:statistics"')
    assert results.cells[0].details["variant"]["batch_dependent"] is True
    assert "other: answers depend on the batch: every sample is run alone" in results.run.warnings
    stored = run(tmp_path, f'factory = "{factory}:plain"', f'factory = "{factory}:statistics"')
    assert stored.cells[0].cached
    assert stored.run.warnings == results.run.warnings


def test_rows_that_meet_in_a_file(tmp_path, digits):
    mean = helper.make_node("Sub", ["centre"], [])
    path = onnx_file(tmp_path / "net.onnx", mean)
    made = onnx.load(path)
    made.graph.node.insert(2, helper.make_node("ReduceMean", ["z0"], ["centre"], axes=[0]))
    onnx.save(made, path)
    network = take_in(Outside(onnx=path), DECLARED, digits.x)
    assert network.batch_dependent
    np.testing.assert_allclose(logits(network)(digits.x), 0, atol=1e-4)  # alone, a row is its own mean
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(made, path)
    with pytest.raises(UserError, match="samples of one batch change each other's answers, and the file fixes a batch"):
        take_in(Outside(onnx=path), DECLARED, digits.x)


def test_ordinary_networks_do_not_depend_on_their_batch(tmp_path, factory, digits):
    assert not take_in(Outside(factory=f"{factory}:plain"), DECLARED, digits.x).batch_dependent
    assert not take_in(Outside(onnx=onnx_file(tmp_path / "n.onnx")), DECLARED, digits.x).batch_dependent
    assert not take_in(Outside(onnx=quantised_softmax(tmp_path / "q.onnx")), DECLARED, digits.x).batch_dependent


@pytest.mark.parametrize("count", [1, 2, 200])
def test_few_samples_find_it_too(factory, digits, count):
    assert take_in(Outside(factory=f"{factory}:statistics"), DECLARED, digits.x[:count]).batch_dependent
    assert not take_in(Outside(factory=f"{factory}:plain"), DECLARED, digits.x[:count]).batch_dependent


@pytest.mark.parametrize("name", ["dropped", "noisy"])
def test_chance_is_refused(factory, digits, name):
    said = r"^variant: it answers by chance: two runs on the same 64 samples differ on \d+ of them, by up to .* spread"
    with pytest.raises(UserError, match=said + "; switch dropout and other random operations off in evaluation mode"):
        take_in(Outside(factory=f"{factory}:{name}"), DECLARED, digits.x, "variant")


def test_chance_in_a_file_whose_operator_is_told_to_drop_by_the_graph(tmp_path, digits):
    """No constant says so: the check of the file cannot see it."""
    drop = helper.make_node("Dropout", ["ratio", "train"], [])
    path = onnx_file(tmp_path / "net.onnx", drop, initialisers=[numpy_helper.from_array(np.float32(0.5), "ratio")])
    made = onnx.load(path)
    made.graph.node.insert(0, helper.make_node("Greater", ["size", "none"], ["train"]))
    made.graph.initializer.extend(
        [numpy_helper.from_array(np.array(1, np.int64), "size"), numpy_helper.from_array(np.array(0, np.int64), "none")]
    )
    onnx.save(made, path)
    with pytest.raises(UserError, match="it answers by chance"):
        take_in(Outside(onnx=path), DECLARED, digits.x)


def test_what_needs_company_is_refused(factory, digits):
    with pytest.raises(
        UserError, match="the network answers batches and no single sample: Expected more than 1 value"
    ) as error:
        take_in(Outside(factory=f"{factory}:company"), DECLARED, digits.x)
    assert "\n" not in str(error.value)
