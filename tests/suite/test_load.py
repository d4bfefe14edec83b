"""A good file becomes a checked suite."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.models.base import Recipe
from bench.suite.load import load_suite
from tests.suite.documents import problems, text, write

SHIPPED = Path(__file__).parents[2] / "suites"


def test_every_name_is_an_object_with_its_parameters(tmp_path):
    reference = '[reference]\nmodel = "convnet"\nwidths = [4, 8]\nstrides = [1, 2]\nrecipe = { epochs = 2 }'
    steps = '{ use = "structured-prune", ratio = 0.3 }, { use = "finetune", epochs = 3 }, { use = "ptq", bits = 6 }'
    variant = f'[[variant]]\nname = "v"\ntargets = ["edge"]\nsteps = [{steps}]'
    suite = load_suite(write(tmp_path, text(reference=reference, variant=variant)))
    assert (suite.reference.model.widths, suite.reference.recipe) == ((4, 8), Recipe(epochs=2))
    (made,) = suite.variants
    assert [step.name for step in made.steps] == ["structured-prune", "finetune", "ptq"]
    assert (made.steps[0].ratio, made.steps[1].epochs, made.steps[2].bits) == (0.3, 3, 6)
    assert made.targets == ("edge",)
    assert (suite.name, suite.replicates, suite.seed) == ("small", 1, 0)
    assert suite.document["data"] == {"loader": "digits", "evaluation": 360}


def test_defaults(tmp_path):
    suite = load_suite(write(tmp_path, text(head="", target="", yardstick="", reference='[reference]\nmodel = "mlp"')))
    assert [(target.name, target.runtime) for target in suite.targets] == [("torch", "torch")]
    assert (suite.yardstick.retrained, suite.yardstick.weight_noise) == (0, None)
    assert suite.reference.recipe == Recipe()
    assert suite.name == "suite"
    assert suite.variants[0].targets is None
    assert suite.metrics[0].metric.samples is None


def test_an_onnx_reference_runs_on_onnxruntime_by_default(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    parts = {"reference": '[reference]\nonnx = "net.onnx"\ninput = { output = "probabilities" }', "yardstick": ""}
    variant = '[[variant]]\nname = "v"\nsteps = [{ use = "ort-static-quant" }]'
    suite = load_suite(write(tmp_path, text(target="", variant=variant, **parts)))
    assert [(target.name, target.runtime) for target in suite.targets] == [("onnxruntime", "onnxruntime")]
    assert suite.reference.outside.input == {"output": "probabilities"}
    found = problems(write(tmp_path, text(variant=variant, **parts)))
    assert [problem.where for problem in found] == ["target[0].runtime"]
    noisy = {**parts, "yardstick": "[yardstick]\nweight_noise = 0.01", "target": ""}
    found = problems(write(tmp_path, text(variant=variant, **noisy)))
    assert [problem.where for problem in found] == ["yardstick.weight_noise"]


def test_a_checkpoint_of_a_variant_takes_the_reference_factory(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"")
    reference = '[reference]\nfactory = "net:build"\ninput = { mean = [0.5], std = [0.25] }'
    variant = '[[variant]]\nname = "v"\ncheckpoint = "w.safetensors"'
    suite = load_suite(write(tmp_path, text(reference=reference, yardstick="", variant=variant)))
    assert suite.reference.outside.factory == suite.variants[0].outside.factory == "net:build"
    assert suite.reference.outside.input == {"mean": [0.5], "std": [0.25]}
    assert suite.variants[0].outside.checkpoint.name == "w.safetensors"
    (problem,) = problems(write(tmp_path, text(variant=variant)))
    assert problem.where == "variant[0].checkpoint"


@pytest.mark.parametrize("factory", ["", 'factory = "net:build"\n'])
@pytest.mark.parametrize(
    ("own", "expected"),
    [("", {"mean": [0.5], "std": [0.25]}), ("input = { scale = 2 }", {"scale": 2.0}), ("input = {}", {})],
    ids=["none", "another", "the data's"],
)
def test_a_variant_of_the_references_factory_takes_its_input_alike(tmp_path, factory, own, expected):
    (tmp_path / "w.safetensors").write_bytes(b"")
    reference = '[reference]\nfactory = "net:build"\ninput = { mean = [0.5], std = [0.25] }'
    variant = f'[[variant]]\nname = "v"\n{factory}checkpoint = "w.safetensors"\n{own}'
    suite = load_suite(write(tmp_path, text(reference=reference, yardstick="", variant=variant)))
    assert suite.variants[0].outside.input == expected
    assert suite.reference.outside.input == {"mean": [0.5], "std": [0.25]}


def test_any_variant_takes_its_input_as_the_reference_unless_it_says_otherwise(tmp_path):
    for name in ("w.safetensors", "net.onnx"):
        (tmp_path / name).write_bytes(b"")
    reference = '[reference]\nfactory = "net:build"\ninput = { mean = [0.5] }'
    for source in ('factory = "net:other"', 'factory = "net:other"\ncheckpoint = "w.safetensors"', 'onnx = "net.onnx"'):
        variant = f'[[variant]]\nname = "v"\n{source}'
        suite = load_suite(write(tmp_path, text(reference=reference, yardstick="", variant=variant)))
        assert suite.variants[0].outside.input == {"mean": [0.5]}
        own = load_suite(write(tmp_path, text(reference=reference, yardstick="", variant=f"{variant}\ninput = {{}}")))
        assert own.variants[0].outside.input == {}


def test_a_checkpoint_cannot_belong_to_an_onnx_file(tmp_path):
    for name in ("w.safetensors", "net.onnx"):
        (tmp_path / name).write_bytes(b"")
    variant = '[[variant]]\nname = "v"\nonnx = "net.onnx"\ncheckpoint = "w.safetensors"'
    (problem,) = problems(write(tmp_path, text(variant=variant)))
    assert problem.where == "variant[0].checkpoint"


def test_an_outside_network_may_take_steps(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    body = '[[variant]]\nname = "v"\nonnx = "net.onnx"\nsteps = [{{ use = "{}" }}]'
    suite = load_suite(write(tmp_path, text(variant=body.format("ort-static-quant"))))
    assert suite.variants[0].outside.onnx.name == "net.onnx"
    assert [step.name for step in suite.variants[0].steps] == ["ort-static-quant"]
    (problem,) = problems(write(tmp_path, text(variant=body.format("bn-reset"))))
    assert problem.where == "variant[0].steps[0]"


def test_a_matrix_is_every_combination_with_the_gates_of_all(tmp_path):
    metric = '[[metric]]\nuse = "adversarial.pgd"\nsamples = 50\nrestarts = 2\nmatrix.epsilon = [0.05, 0.1]\n'
    metric += 'matrix.steps = [5, 10, 20]\ngate = [{ value = "robust_error", max_harm = 0.03 }]'
    uses = load_suite(write(tmp_path, text(metric=metric))).metrics
    assert [(use.metric.epsilon, use.metric.steps) for use in uses] == [
        (epsilon, steps) for epsilon in (0.05, 0.1) for steps in (5, 10, 20)
    ]
    assert {(use.metric.samples, use.metric.restarts) for use in uses} == {(50, 2)}
    assert {(gate.value, gate.rule, gate.tolerance) for use in uses for gate in use.gates} == {
        ("robust_error", "max_harm", 0.03)
    }


def test_one_metric_with_two_parameters_is_two_measurements(tmp_path):
    metric = '[[metric]]\nuse = "adversarial.pgd"\nepsilon = 0.1\n[[metric]]\nuse = "adversarial.pgd"\nepsilon = 0.2'
    assert [use.metric.epsilon for use in load_suite(write(tmp_path, text(metric=metric))).metrics] == [0.1, 0.2]


OWN = '''
from typing import Annotated, ClassVar
from pydantic import Field
from bench.compression.base import Step
from bench.registry import parameters

@parameters
class Scale(Step):
    """Multiply the weights."""
    factor: Annotated[float, Field(gt=0)]
    needs: ClassVar = frozenset({"train"})
    def apply(self, network, context):
        return network, {}

class Bare(Step):
    def apply(self, network, context):
        return network, {}

def build():
    raise RuntimeError
'''


def test_classes_of_the_user_are_named_by_module(tmp_path, monkeypatch):
    write(tmp_path, OWN, "own_steps_for_load.py")
    write(tmp_path, "raise RuntimeError('broken\\ninside')", "broken_for_load.py")
    monkeypatch.syspath_prepend(tmp_path)
    body = '[[variant]]\nname = "v"\nsteps = [{{ use = "{}", factor = {} }}]'
    suite = load_suite(write(tmp_path, text(variant=body.format("own_steps_for_load:Scale", 2.0))))
    assert suite.variants[0].steps[0].factor == 2.0
    for name, factor, where, what in [
        ("own_steps_for_load:Scale", -1, "variant[0].steps[0].factor", "-1 is not above 0"),
        ("own_steps_for_load:Bare", 1, "variant[0].steps[0]", "Bare declares no parameters"),
        ("own_steps_for_load:build", 1, "variant[0].steps[0].use", "is no step"),
        ("own_steps_for_load:Sclae", 1, "variant[0].steps[0].use", "has no 'Sclae'"),
        ("broken_for_load:Step", 1, "variant[0].steps[0].use", "cannot be imported: RuntimeError: broken"),
    ]:
        (problem,) = problems(write(tmp_path, text(variant=body.format(name, factor))))
        assert (problem.where, what in problem.what) == (where, True), problem


@pytest.mark.parametrize("path", sorted(SHIPPED.rglob("*.toml")), ids=lambda path: path.name)
def test_shipped_suites_load(path, tmp_path):
    if path.name.startswith("wild"):
        for package in ("qonnx", "rapidocr"):
            pytest.importorskip(package, reason="its files come with the extra wild")
    shutil.copytree(SHIPPED, tmp_path / "suites")
    weights = tmp_path / "suites" / "weights" / "efficientnet-lite0.safetensors"
    weights.touch()  # the user's own conversion, named in the suite's first lines; only looked for here
    assert load_suite(tmp_path / "suites" / path.relative_to(SHIPPED)).variants


def test_the_digits_suite_has_one_metric_of_every_family():
    suite = load_suite(SHIPPED / "digits.toml")
    families = {use.metric.family for use in suite.metrics}
    assert families == {"fidelity", "lipschitz", "adversarial", "attribution", "uncertainty", "cost"}
    assert len(suite.variants) >= 7
    assert suite.yardstick.retrained == 4


def test_no_heavy_library_is_imported():
    heavy = "{'torch', 'onnx', 'onnxruntime', 'sklearn', 'scipy', 'brevitas', 'captum', 'foolbox', 'torch_pruning'}"
    code = "import sys; from bench.suite.load import load_suite; from bench.suite import plan_text\n"
    code += f"suite = load_suite({str(SHIPPED / 'digits.toml')!r}); plan_text.describe_suite(suite)\n"
    code += "from bench.suite.schema import suite_schema; suite_schema()\n"
    code += "from bench.suite.registered_names import KINDS, describe, list_names\n"
    code += "[describe(kind, name) for kind in KINDS for name, _ in list_names(kind)]\n"
    code += f"print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
