"""Which rooms may import torch, onnx and the like at their top: what start-up, lists and a cached run load may not."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.compression.base import steps
from bench.models.base import models
from bench.runtimes.base import runtimes
from bench.uncertainty.base import methods

HEAVY = {
    "torch", "onnx", "onnxruntime", "brevitas", "torch_pruning", "foolbox", "captum", "sklearn", "safetensors",
    "scipy.stats",
}  # fmt: skip

NETWORK_AT_WORK = (  # rooms and modules that are imported only when a network is at work
    "onnx",
    "onnx_import",
    "onnx_files",
    "batch_norm_folding",
    "canonical_form",
    "layer_matching",
    "integer_sums.products",
    "integer_sums.unsigned_weights",
    "functional.linear_pieces",
    "functional.attacks.pgd",
    "functional.attacks.apgd",
    "functional.attacks.decision",
    "functional.attacks.difference",
    "functional.attacks.fmn",
    "functional.attacks.keyed_draws",
    "functional.attacks.minimum_norm",
    "functional.attacks.naive_losses",
    "functional.attacks.one_sample",
    "functional.attacks.surrogate",
    "functional.attacks.target_order",
    "functional.attacks.logit_margins",
    "functional.lipschitz.difference",
    "functional.lipschitz.graph_bounds",
    "functional.lipschitz.methods",
    "functional.lipschitz.quantised_bounds",
    "functional.lipschitz.relaxations",
    "functional.members.simplex_training",
    "functional.module_cost",
    "functional.onnx_cost",
    "functional.onnx_sizes",
    "networks.answers",
    "networks.attention",
    "networks.feature_maps",
    "networks.function_modes",
    "networks.hooks",
    "networks.materialise",
    "networks.members",
    "networks.memory_layout",
    "networks.tied_weights",
    "networks.torchscript",
    "networks.weight_hooks",
    "outside_networks.checkpoint",
    "outside_networks.loading",
    "outside_networks.plain_checkpoint",
    "outside_networks.source",
    *(f"models.{name}" for name in models.helpers),
    *(f"runtimes.{name}" for name in runtimes.helpers),
    *(f"uncertainty.{name}" for name in methods.helpers),
    *(f"compression.{name}" for name in steps.helpers),
    "engine.intake",
    "engine.lipschitz",
    "engine.layer_culprits",
)
PROGRAMS = ("__main__", "outside_networks.convert_worker", "data.rendered_words")  # a process of its own, pillow
OPTIONS = tuple(f"compression.{room}.options" for room in ("onnx_runtime", "pruning", "quantisation"))  # of steps


def every_module():
    return sorted(module.name for module in pkgutil.walk_packages(bench.__path__, "bench."))


def at_work(name):
    short = name.removeprefix("bench.")
    return short not in OPTIONS and any(short == room or short.startswith(f"{room}.") for room in NETWORK_AT_WORK)


def inner_imports(path):
    """Lines of a file on which a function imports a heavy library, those in a ``with`` or ``try`` left out."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                names = []
                if isinstance(statement, ast.Import):
                    names = [alias.name for alias in statement.names]
                elif isinstance(statement, ast.ImportFrom):
                    names = [statement.module]
                if any(name.split(".")[0] in HEAVY for name in names):
                    yield statement.lineno


def test_the_rest_of_the_house_loads_no_heavy_library():
    light = [name for name in every_module() if not at_work(name) and name.removeprefix("bench.") not in PROGRAMS]
    assert len(light) > 200
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += f"    assert not {HEAVY!r} & set(sys.modules), (name, {HEAVY!r} & set(sys.modules))\n"
    done = subprocess.run([sys.executable, "-c", code, *light], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_plan_with_an_onnx_file_loads_neither_torch_nor_a_runtime():
    code = "import sys, bench.onnx_files.reading; print(sorted({'torch', 'onnxruntime', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_asking_how_a_provider_sums_loads_its_runtime_and_no_torch():
    code = (
        "import sys; from bench.runtimes.integer_sums import native_sums; native_sums()\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_rooms_of_networks_at_work_import_heavy_libraries_at_their_top():
    found = {}
    for name in filter(at_work, every_module()):
        spec = importlib.util.find_spec(name)
        if lines := list(inner_imports(Path(spec.origin))):
            found[name] = lines
    assert found == {}


@pytest.mark.parametrize("registry", [models, runtimes, steps], ids=lambda registry: registry.kind)
def test_what_a_look_up_leaves_out_registers_nothing(registry):
    before = registry.names()
    for helper in registry.helpers:
        module = importlib.import_module(f"{registry.package}.{helper}")
        for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
            importlib.import_module(f"{module.__name__}.{inner.name}")
    assert registry.names() == before


def test_every_module_of_ours_that_is_imported_somewhere_exists():
    """Inside functions too, where neither mypy nor an import of the house would notice."""
    known = {"bench", *every_module()}
    wrong = []
    for file in sorted(Path(bench.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            named = [node.module] if isinstance(node, ast.ImportFrom) else []
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else named
            wrong += [(file.name, name) for name in named if name.split(".")[0] == "bench" and name not in known]
    assert wrong == []
