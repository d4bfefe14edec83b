"""Networks, samples and metrics in memory: every form is the same network, and nothing stale is ever used again."""

import copy
import subprocess
import sys
import warnings
from dataclasses import replace

import fsspec
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bench import api
from bench.compression.base import StepContext, steps
from bench.data.digits import Digits
from bench.errors import UserError
from bench.functional.predictions import absolute_difference
from bench.identity import NotReused
from bench.metrics.base import Metric
from bench.metrics.values import Change
from bench.networks.network import InputSpec, TorchNetwork
from bench.probes.base import Observation, Probe
from bench.registry import parameters
from bench.suite.given_network import as_network
from bench.suite.load import load_suite
from bench.suite.suite import Outside, Reference, Variant, Yardstick

NAMES = ("fidelity.predictions", "fidelity.accuracy")


@pytest.fixture(scope="module")
def digits():
    return Digits().load(150, 16).evaluation


def made(seed, width=12):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10))
    with torch.no_grad():
        net(torch.rand(50, 1, 8, 8))  # running statistics of its own
        net[4].weight.mul_(3)
    return net.eval()


@pytest.fixture
def pair():
    return made(0), made(1)


def exported(net):
    import io

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.zeros(2, 1, 8, 8),), file, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    return file.getvalue()


def as_function(net):
    def answer(x):
        with torch.no_grad():
            return net(torch.from_numpy(x)).numpy()

    return answer


def figures(results):
    return {
        (cell.metric, name): (value.estimate, value.reference, value.variant, value.ci, value.gap)
        for cell in results.cells
        for name, value in cell.values.items()
    }


def test_every_form_of_a_network_is_the_same_one(pair, digits, tmp_path):
    variant = pair[1]
    (tmp_path / "net.onnx").write_bytes(exported(variant))
    right = figures(api.diff(*pair, digits.x, digits.y, metrics=NAMES))
    assert 0 < right["fidelity.predictions", "flip_rate"][0] < 1
    forms = {
        "path": tmp_path / "net.onnx",
        "text": str(tmp_path / "net.onnx"),
        "bytes": (tmp_path / "net.onnx").read_bytes(),
        "proto": onnx.load(tmp_path / "net.onnx"),
        "function": as_function(variant),
        "network": api.network(variant, key="mine"),
    }
    for name, form in forms.items():
        found = figures(api.diff(pair[0], form, digits.x, digits.y, metrics=NAMES))
        assert found.keys() == right.keys()
        for value, expected in right.items():
            wanted = None if expected[0] is None else pytest.approx(expected[0], rel=1e-3, abs=1e-6)
            assert found[value][0] == wanted, (name, value)
        alike = figures(api.diff(form, variant, digits.x, digits.y, metrics=NAMES[:1]))
        assert alike["fidelity.predictions", "js"][0] < 1e-9, name
    assert api.diff(pair[0], variant, digits.x).cells[0].variant == "Sequential"


def test_arrays_tensors_and_files_give_one_and_the_same_figure(pair, digits, tmp_path):
    np.savez(tmp_path / "data.npz", x=digits.x, y=digits.y)
    right = figures(api.diff(*pair, tmp_path / "data.npz", metrics=NAMES))
    given = [
        (digits.x, digits.y),
        (torch.from_numpy(digits.x.copy()).requires_grad_(), torch.from_numpy(digits.y)),
        (digits.x[:, 0].astype(np.float64), digits.y.tolist()),
    ]
    assert torch.equal(torch.from_numpy(digits.x).bfloat16().float(), torch.from_numpy(digits.x))  # 16 shades
    given.append((torch.from_numpy(digits.x).bfloat16(), digits.y))
    frozen = digits.x.copy()
    frozen.flags.writeable = False
    for x, y in (*given, (frozen, digits.y)):
        assert figures(api.diff(*pair, x, y, metrics=NAMES)) == right


def test_a_module_is_not_touched(digits):
    net = made(0).train()
    net.register_forward_hook(lambda module, given, out: None)
    before, modes = copy.deepcopy(net.state_dict()), [part.training for part in net.modules()]
    api.diff(net, made(1), digits.x, metrics=NAMES[:1])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert modes == [part.training for part in net.modules()]
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_nothing_is_written_and_nothing_stays_in_memory(pair, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held = set(fsspec.filesystem("memory").store)
    api.diff(*pair, digits.x, digits.y)
    assert not list(tmp_path.iterdir())
    assert set(fsspec.filesystem("memory").store) == held


def reused(results):
    return [cell.cached for cell in results.cells]


def test_what_changed_is_another_network_and_other_samples(pair, digits, tmp_path):
    store = str(tmp_path / "store")
    x, y = digits.x.copy(), digits.y.copy()

    def measured(variant=pair[1]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotReused)
            return api.diff(pair[0], variant, x, y, metrics=NAMES, store=store)

    first = measured()
    assert reused(first) == [False, False]
    assert reused(measured()) == [True, True]
    wrapped = api.network(pair[1])
    assert reused(measured(wrapped)) == [True, True]
    whole = pair[1][4].bias.detach().clone()
    with torch.no_grad():
        pair[1][4].bias[3] += 2.0  # a fine-tuned module
    for variant in (pair[1], wrapped):
        second = measured(variant)
        assert reused(second) == [variant is wrapped] * 2
        assert figures(second) != figures(first)
        assert figures(second) == figures(api.diff(*pair, x, y, metrics=NAMES))
    x[:40] = x[:40][:, :, ::-1]
    assert reused(measured()) == [False, False]
    y[0] = (y[0] + 1) % 10
    third = measured()
    assert reused(third) == [False, False]
    assert figures(third) == figures(api.diff(*pair, x, y, metrics=NAMES))
    assert reused(measured(copy.deepcopy(pair[1]))) == [False, False]  # another object may run other code
    with torch.no_grad():
        pair[1][4].bias.copy_(whole)
    x[:], y[:] = digits.x, digits.y
    assert reused(measured()) == [True, True]


SCRIPT = """
import sys
import warnings
import numpy as np
import torch
from torch import nn
from bench import api
from bench.functional.predictions import absolute_difference
from bench.networks.network import InputSpec, TorchNetwork
from bench.metrics.base import Metric
from bench.metrics.values import Change
from bench.probes.base import Observation, Probe
from bench.registry import parameters

warnings.simplefilter("ignore")
torch.manual_seed(0)
nets = [nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval() for _ in range(2)]
x = np.random.default_rng(0).uniform(size=(40, 4, 4)).astype("float32")
shown = {}


@parameters
class FirstLogit(Probe):
    arrays = ("z",)

    def ask(self, predictor, samples, context):
        return Observation({"z": predictor.logits(torch.from_numpy(samples.x))[0, :, 0].double().numpy()})


@parameters
class Mine(Metric):
    family = "fidelity"
    probes = (FirstLogit(),)
    values = (Change("first", absolute_difference, of="z", power=1),)


def run(name, reference, variant, metric="fidelity.predictions"):
    (cell,) = api.diff(reference, variant, x, metrics=[metric], store=sys.argv[1]).cells
    assert cell.status == "ok", cell.reason
    print(name, cell.cached)


def f(a):
    return a.reshape(len(a), -1)[:, :3]


keyed = [api.network(net, key=f"linear {i}") for i, net in enumerate(nets)]
run("bare", *nets)
run("keyed", *keyed)
run("function", keyed[0], f)
run("again", keyed[0], f)
run("vouched", keyed[0], api.network(f, key="first three pixels"))
run("metric", *keyed, Mine())
if len(sys.argv) > 2:
    nets[1][1].bias.data += 1
    run("trained", *keyed)
"""


def test_across_processes_only_a_key_makes_it_the_same(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(*more):
        command = [sys.executable, "script.py", "store", *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return dict(line.split() for line in done.stdout.splitlines())

    assert set(run().values()) == {"False"}
    second = run("changed")
    assert {name for name, cached in second.items() if cached == "True"} == {"keyed", "vouched"}
    assert second["trained"] == "False"


@pytest.mark.filterwarnings("ignore::bench.identity.NotReused")
def test_a_module_that_cannot_be_looked_into_is_measured_each_time(pair, digits, tmp_path):
    pair[1].strange = iter([1])
    for _ in range(2):
        results = api.diff(*pair, digits.x, metrics=NAMES[:1], store=tmp_path)
        assert [(cell.status, cell.cached) for cell in results.cells] == [("ok", False)]


def test_what_is_not_reused_is_said_once(pair, digits, tmp_path):
    def only_here(x):
        return x.reshape(len(x), -1)[:, :10]

    given = (api.network(pair[0], key="reference"), only_here, digits.x)
    with pytest.warns(NotReused, match=r"the function 'only_here': measured anew in every process.*key="):
        api.diff(*given, metrics=NAMES[:1], store=str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api.diff(*given, metrics=NAMES[:1], store=str(tmp_path))
        api.diff(pair[0], made(2), digits.x, metrics=NAMES[:1])  # no store: nothing to be said


def test_what_a_function_cannot_give_is_said(pair, digits):
    metrics = ["adversarial.pgd[epsilon=0.1,samples=20]", "cost[rounds=3]"]
    attack, cost = api.diff(pair[0], as_function(pair[1]), digits.x, digits.y, metrics=metrics).cells
    assert (attack.status, attack.reason) == (
        "skipped", "variant: a function of arrays gives no input gradients; give a torch module or an ONNX file",
    )  # fmt: skip
    for name in ("file_bytes", "parameters", "stored_bits", "nominal_bits", "macs"):
        value = cost.values[name]
        assert (value.estimate, value.variant) == (None, None)
        assert value.reference > 0
        assert value.reason == "variant: a function of arrays has no artefact that could be looked at"
    assert cost.values["latency_median"].estimate > 0
    (attack,) = api.diff(as_function(pair[0]), pair[1], digits.x, digits.y, metrics=metrics[:1]).cells
    assert (attack.status, attack.reason[:30]) == ("skipped", "reference: a function of array")


def test_a_function_may_change_what_it_is_given(pair, digits):
    def spoils(x):
        answer = as_function(pair[1])(x)
        x[:] = -1
        return answer

    right = figures(api.diff(pair[0], as_function(pair[1]), digits.x, metrics=NAMES[:1]))
    before = digits.x.copy()
    assert figures(api.diff(pair[0], spoils, digits.x, metrics=NAMES[:1])) == right
    assert np.array_equal(before, digits.x)


def test_probabilities_are_found_or_declared(pair, digits):
    def probable(x):
        return torch.from_numpy(as_function(pair[1])(x)).softmax(1).numpy()

    right = figures(api.diff(*pair, digits.x, metrics=NAMES[:1]))["fidelity.predictions", "js"][0]
    for given in (probable, api.network(probable, output="probabilities")):
        results = api.diff(pair[0], given, digits.x, metrics=NAMES[:1])
        assert figures(results)["fidelity.predictions", "js"][0] == pytest.approx(right, rel=1e-3)
        assert results.cells[0].details["variant"]["output"]["is"] == "probabilities"
    wrong = api.network(as_function(pair[1]), output="probabilities")
    (cell,) = api.diff(pair[0], wrong, digits.x, metrics=NAMES[:1]).cells
    assert cell.status == "error"
    assert "declared are probabilities" in cell.reason
    taken = api.network(probable, output="logits")  # what is declared is believed: raw scores that happen to sum to 1
    assert figures(api.diff(pair[0], taken, digits.x, metrics=NAMES[:1]))["fidelity.predictions", "js"][0] != right


def test_chance_and_company_are_found(pair, digits):
    generator = np.random.default_rng(0)

    def by_chance(x):
        return as_function(pair[1])(x) + generator.normal(size=(len(x), 10))

    def in_company(x):
        return as_function(pair[1])(x - x.mean(0, keepdims=True) * 2)

    (cell,) = api.diff(pair[0], by_chance, digits.x, metrics=NAMES[:1]).cells
    assert cell.status == "error"
    assert "it answers by chance" in cell.reason
    assert "let it draw no random numbers" in cell.reason
    alone = as_function(pair[1])(-digits.x).argmax(1)  # a batch of one: x less twice itself
    flips = (alone != as_function(pair[0])(digits.x).argmax(1)).mean()
    found = figures(api.diff(pair[0], in_company, digits.x, metrics=NAMES[:1]))
    assert found["fidelity.predictions", "flip_rate"][0] == pytest.approx(flips)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: x / None, "variant: it fails on an array (2, 1, 8, 8) of float32: TypeError"),
        (lambda x: x.sum(), "variant: 2 samples give an array () of float32; answer (n, classes)"),
        (lambda x: ["a", "b"], "variant: 2 samples give an array (2,) of <U1"),
        (lambda x: np.zeros((3, 10)), "variant: 2 samples give an array (3, 10) of float64"),
        (lambda x: np.zeros((len(x), 7)), "variant: 7 classes, the reference has 10"),
        (nn.Linear, "variant: it is the class Linear; give an object of it, such as Linear()"),
        (nn.Linear(3, 3), "variant: it does not take inputs (2, 1, 8, 8): RuntimeError"),
        (12, "variant: an object of type int is no network; give a torch module, an ONNX file"),
        (b"none", "variant: a model of 4 bytes does not parse as ONNX"),
        ("none.onnx", "variant: no file none.onnx"),
    ],
)
def test_what_is_no_network_is_told_in_a_line(pair, digits, given, said):
    with pytest.raises(UserError) as caught:
        api.diff(pair[0], given, digits.x)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_function_that_answers_otherwise_later_is_an_error(pair, digits):
    def shrinks(x):
        return as_function(pair[1])(x)[:, : 10 if len(x) < 80 else 9]

    (cell,) = api.diff(pair[0], shrinks, digits.x, metrics=NAMES[:1]).cells
    assert cell.status == "error"
    assert "it answers 9 scores a sample, and 10 before" in cell.reason


@pytest.mark.parametrize(
    ("x", "y", "how", "said"),
    [
        (np.zeros((3, 2, 2, 2, 2)), None, {}, "x: shape (3, 2, 2, 2, 2); give images"),
        (np.full((3, 8, 8), np.nan), None, {}, "x: "),
        (np.full((3, 8, 8), 7.0), None, {}, "bounds: x lies in [7, 7]; say which range is valid, as (low, high)"),
        ([[1, 2], [3]], None, {}, "x: it is no array: "),
        ("nowhere.npz", None, {}, "data: no file 'nowhere.npz'"),
        (np.zeros((3, 8, 8)), ["a", "b", "c"], {}, "y: labels of type <U1 that are no classes"),
        (np.zeros((3, 8, 8)), [0, 1], {}, "y: shape (2,); give (3,), one label a sample"),
        (np.zeros((3, 8, 8)), [0, 1, 12], {}, "y: a label is 12; the networks have classes 0 to 9"),
        (np.zeros((3, 8, 8)), None, {"bounds": (1, 0)}, "bounds: 1 is not below 0"),
        (np.zeros((3, 8, 8)), None, {"bounds": 3}, "bounds: 3 is no range"),
        (np.zeros((3, 8, 8)), None, {"metrics": "cost"}, "metrics: it is one metric; give a list of them"),
        (np.zeros((3, 8, 8)), None, {"metrics": [3]}, "metrics: an object of type int is no metric"),
        (np.zeros((3, 8, 8)), None, {"metrics": ["fidelity.prediction"]}, "metrics: unknown metric"),
        (np.zeros((3, 8, 8)), None, {"integer_sums": "exact"}, "integer_sums: 'exact' asked of torch networks"),
        ("data.npz", [0, 1], {}, "y: labels beside the file data.npz"),
    ],
)
def test_what_is_wrong_beside_the_networks_is_told_in_a_line(pair, x, y, how, said):
    with pytest.raises(UserError) as caught:
        api.diff(*pair, x, y, **how)
    assert str(caught.value).startswith(said)


def test_a_metric_of_ones_own_needs_no_name(pair, digits):
    @parameters
    class Z(Probe):
        """The first logit."""

        arrays = ("z",)

        def ask(self, predictor, samples, context):
            return Observation({"z": predictor.logits(torch.from_numpy(samples.x))[0, :, 0].double().numpy()})

    @parameters
    class FirstLogit(Metric):
        """How far the first logit moved."""

        family = "fidelity"
        probes = (Z(),)
        values = (Change("first", absolute_difference, of="z", power=1),)

    (cell,) = api.diff(*pair, digits.x, metrics=[FirstLogit()]).cells
    a, b = (as_function(net)(digits.x)[:, 0].astype(np.float64) for net in pair)
    assert cell.values["first"].estimate == pytest.approx(np.abs(a - b).mean(), rel=1e-5)
    assert cell.metric.endswith("FirstLogit")


def test_yardsticks_in_memory_give_a_gap(pair, digits):
    marks = [made(seed) for seed in (2, 3, 4, 5)]
    results = api.diff(*pair, digits.x, metrics=NAMES[:1], yardsticks=marks)
    value = results.cells[0].values["js"]
    each = [api.diff(pair[0], mark, digits.x, metrics=NAMES[:1]).cells[0].values["js"].estimate for mark in marks]
    right = (value.estimate / np.exp(np.log(each).mean())) ** 0.5
    assert value.gap == pytest.approx(right, rel=1e-6)
    assert value.gap_ci[0] < value.gap < value.gap_ci[1]
    assert len(value.yardsticks) == 4
    assert (results.reference.yardsticks, results.reference.yardstick_kind) == (4, "given")
    page = results._repr_html_()
    assert "1 = as different as the given yardsticks (4 networks)" in page
    assert "retrained" not in page


@pytest.mark.parametrize(
    ("yardstick", "kind"),
    [
        (Yardstick(), "none"),
        (Yardstick(retrained=4), "retrained"),
        (Yardstick(weight_noise=0.01), "weight-noise"),
        (Yardstick(outside=(Outside(factory="nets:a"),)), "given"),
        (Yardstick(weight_noise=0.01, outside=(Outside(factory="nets:a"),)), "given"),
    ],
)
def test_what_yardsticks_are_called_stands_in_one_place(yardstick, kind):
    assert yardstick.kind == kind


SUITE = """
name = "held"
data = { loader = "digits", evaluation = 60, calibration = 32 }
reference = { model = "mlp", hidden = [4], recipe = { epochs = 1 } }
variant = [{ name = "folded", steps = [{ use = "bn-fold" }] }]
metric = [{ use = "fidelity.predictions" }]
"""


@pytest.mark.filterwarnings("ignore::bench.identity.NotReused")
def test_a_suite_takes_networks_in_memory(pair, tmp_path, capsys):
    (tmp_path / "held.toml").write_text(SUITE)
    suite = load_suite(tmp_path / "held.toml")
    reference, other = (as_network(api.network(net, key=name), "here") for net, name in zip(pair, "ab", strict=True))
    suite = replace(
        suite,
        reference=Reference(outside=reference),
        yardstick=Yardstick(outside=tuple(as_network(made(seed), "here") for seed in (2, 3, 4, 5))),
        variants=(
            Variant("folded", (steps.get("bn-fold")(),)),
            Variant("int8", (steps.get("onnx-export")(), steps.get("ort-static-quant")())),
            Variant("other", outside=other),
            Variant("function", outside=as_network(as_function(pair[1]), "here")),
        ),
    )
    store = str(tmp_path / "store")
    results = api.run(suite, store=store)
    cells = {(cell.variant, cell.target): cell for cell in results.cells}
    assert cells["folded", "torch"].values["js"].estimate < 1e-9
    assert cells["int8", "torch"].status == "skipped"
    assert cells["other", "torch"].values["js"].gap > 0
    assert cells["function", "torch"].status == "skipped"
    assert cells["function", "torch"].reason.endswith(
        """runs torch and torch-quantised networks, not function; declare a [[target]] with runtime = "function\""""
    )
    assert results.reference.yardsticks == 4
    again = api.run(suite, store=store)
    assert [cell.cached for cell in again.cells if cell.status == "ok"] == [True, True]
    assert figures(again) == figures(results)
    notices = api.run(replace(suite, seed=1), store=store)  # networks are made again without a word of damage
    assert {cell.status for cell in notices.cells if cell.variant == "folded"} == {"ok"}
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::bench.identity.NotReused")
def test_a_suite_in_memory_is_planned_on_what_its_networks_are_then(pair, tmp_path):
    (tmp_path / "held.toml").write_text(SUITE)
    noise = [1.0]

    def moved(x):
        return as_function(pair[1])(x) * noise[0]

    loaded = load_suite(tmp_path / "held.toml")
    target = replace(loaded.targets[0], name="own", runtime="function")
    variants = (Variant("net", outside=as_network(pair[1], "x")), Variant("f", outside=as_network(moved, "x")))
    suite = replace(
        loaded, reference=Reference(outside=as_network(pair[0], "x")), variants=variants, targets=(target,)
    )  # fmt: skip
    store = tmp_path / "store"
    first = api.run(suite, store=store)
    noise[0] = 3.0
    second = api.run(suite, store=store)
    assert {cell.variant: cell.cached for cell in second.cells} == {"net": True, "f": False}
    assert second["f/own/*"]["js"].estimate != first["f/own/*"]["js"].estimate
    study = api.Study(suite, store)
    with torch.no_grad():
        pair[1][4].bias[0] += 1.0
    with pytest.raises(UserError, match="the module 'Sequential' changed after the plan was made; plan anew"):
        study.run()
    third = api.run(suite, store=store)
    assert third["net/own/*"]["js"].estimate != first["net/own/*"]["js"].estimate
    assert third["net/own/*"].cell.cached is False


def test_networks_by_name_beside_a_suites_variants(pair, tmp_path):
    (tmp_path / "held.toml").write_text(
        SUITE + 'target = [{ name = "torch" }, { name = "own", runtime = "function" }]\n'
    )
    store = tmp_path / "store"
    more = {"mine": api.network(pair[1], key="b"), "function": api.network(as_function(pair[1]), key="c")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = api.run(tmp_path / "held.toml", variants=more, store=store)
    assert run["mine/torch/*"]["js"].estimate == pytest.approx(run["function/own/*"]["js"].estimate, rel=1e-4)
    assert run["mine/torch/*"].cell.n == 60
    assert {cell.target for cell in run.cells if cell.variant == "function"} == {"own"}
    again = api.run(tmp_path / "held.toml", variants=more, store=store)
    assert all(cell.cached for cell in again.cells if cell.status == "ok")
    with pytest.raises(UserError) as caught:
        api.run(tmp_path / "held.toml", variants={"a/b": pair[0], "folded": pair[0], "three": 3}, store=store)
    assert [problem.where for problem in caught.value.problems] == [
        "variants['a/b']", "variants['folded']", "variants['three']",
    ]  # fmt: skip


def test_a_network_that_no_target_of_the_suite_runs_names_the_table_to_write(pair, tmp_path):
    (tmp_path / "held.toml").write_text(SUITE)
    given = {"f": as_function(pair[1]), "o": exported(pair[1])}
    with pytest.raises(UserError) as caught:
        api.run(tmp_path / "held.toml", variants=given, store=tmp_path / "store")
    lines = "add to held.toml a table [[target]] with the lines name = {0} and runtime = {1}"
    assert [str(problem) for problem in caught.value.problems] == [
        "variants['f']: no target runs a function of arrays: 'torch' has runtime 'torch'; "
        + lines.format('"function"', '"function"'),
        "variants['o']: no target runs an onnx network: 'torch' has runtime 'torch'; "
        + lines.format('"onnx"', '"onnxruntime"'),
    ]
    tables = """
    [[target]]
    name = "torch"
    [[target]]
    name = "function"
    runtime = "function"
    """
    (tmp_path / "held.toml").write_text(SUITE + tables)
    run = api.run(tmp_path / "held.toml", variants=given, store=tmp_path / "store")
    assert run["f/function/*"].cell.status == run["o/function/*"].cell.status == "ok"


def test_how_products_are_summed_counts_beside_a_function_too(pair, digits, tmp_path):
    network = TorchNetwork(pair[0], InputSpec((1, 8, 8), tuple(map(str, range(10)))), {"source": "memory"})
    nothing = digits.take(slice(0, 0))
    context = StepContext(nothing, digits, None, 0)
    for step in (steps.get("onnx-export")(), steps.get("ort-static-quant")()):
        network, _ = step.apply(network, context)
    held = api.network(as_function(pair[1]), key="variant")

    def measured(sums):
        given = network.model, held, digits.x
        (cell,) = api.diff(*given, metrics=NAMES[:1], integer_sums=sums, store=tmp_path / "store").cells
        assert (cell.target, cell.status) == ("function", "ok"), cell.reason
        return cell

    first, second = measured("exact"), measured("saturating")
    assert not second.cached
    assert first.values["js"].estimate != second.values["js"].estimate
    assert measured("exact").cached
    with pytest.raises(UserError, match="'exact' asked of torch networks and functions"):
        api.diff(pair[0], held, digits.x, integer_sums="exact")


def test_a_function_takes_its_input_as_declared(pair, digits):
    seen = []

    def of_pixels(x):
        seen.append((x.dtype, x.shape[1:]))
        return as_function(pair[1])(np.moveaxis(x, -1, 1).astype(np.float32) / 255)

    given = api.network(of_pixels, layout="NHWC", dtype="uint8", scale=255)
    alike = api.diff(pair[1], given, digits.x, metrics=NAMES[:1])
    assert alike["fidelity.predictions"]["js"].estimate < 1e-4  # pixels are rounded to whole numbers
    assert set(seen) == {(np.dtype(np.uint8), (8, 8, 1))}


def test_a_function_may_answer_tensors(pair, digits):
    alike = api.diff(pair[1], lambda x: pair[1](torch.from_numpy(x)), digits.x, metrics=NAMES[:1])
    assert alike["fidelity.predictions"]["js"].estimate < 1e-12


def test_onnx_files_loaded_as_modules_are_given_as_files(pair, digits):
    import bench

    net = bench.onnx.load(exported(pair[1]))
    with pytest.raises(UserError, match="give the file itself"):
        api.diff(pair[0], net, digits.x)
    assert api.diff(pair[0], net.model, digits.x, metrics=NAMES[:1]).cells[0].status == "ok"
