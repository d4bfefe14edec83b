"""The published JSON Schema is current and agrees with the loader."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from bench.compression.base import steps
from bench.data.base import loaders
from bench.metrics.base import metrics
from bench.models.base import Recipe, models
from bench.runtimes.base import Target
from bench.suite.schema import suite_schema
from bench.suite.tables import (
    DataTable,
    GateTable,
    InputTable,
    MetricTable,
    ReferenceTable,
    StepTable,
    SuiteTable,
    VariantTable,
    YardstickTable,
)
from tests.suite.documents import text

TABLES = (DataTable, ReferenceTable, YardstickTable, StepTable, VariantTable, GateTable, MetricTable, InputTable)
SHIPPED = Path(__file__).parents[2] / "suites"


@pytest.fixture(scope="module")
def validator():
    schema = suite_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schema_is_current():
    committed = (SHIPPED / "suite.schema.json").read_text(encoding="utf-8")
    current = json.dumps(suite_schema(), indent=2) + "\n"
    assert committed == current, "run: python -m bench.suite.schema > suites/suite.schema.json"


def test_it_is_the_same_every_time():
    assert json.dumps(suite_schema()) == json.dumps(suite_schema())


@pytest.mark.parametrize("path", sorted(SHIPPED.rglob("*.toml")), ids=lambda path: path.name)
def test_shipped_suites_fit_and_name_it(validator, path):
    content = path.read_text(encoding="utf-8")
    up = "../" * (len(path.relative_to(SHIPPED).parts) - 1) or "./"
    assert content.startswith(f"#:schema {up}suite.schema.json\n")
    validator.validate(tomllib.loads(content))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"metric": '[[metric]]\nuse = "adversarial.pgd"\nmatrix.epsilon = [0.1]'},
        {"metric": '[[metric]]\nuse = "own:Metric"\nanything = 1'},
        {"variant": '[[variant]]\nname = "v"\nsteps = [{ use = "own:Step", anything = [1] }]'},
        {"reference": '[reference]\nonnx = "a.onnx"'},
        {"reference": '[reference]\nfactory = "a:b"\nrecipe = { epochs = 1 }'},
        {"reference": '[reference]\nmodel = "own:Model"\ndepth = 3'},
        {"data": '[data]\nloader = "npz"\npath = "x.npz"\nevaluation = 5'},
    ],
)
def test_good_documents_fit(validator, parts):
    validator.validate(tomllib.loads(text(**parts)))


def test_a_suite_that_extends_may_hold_only_what_differs(validator):
    validator.validate({"extends": "base.toml", "data": {"evaluation": 9}, "reference": {"recipe": {"epochs": 1}}})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"data": {"loader": "digits", "evaluation": 9}})


@pytest.mark.parametrize(
    "parts",
    [
        {"head": 'nam = "a"'},
        {"head": 'name = "a/b"'},
        {"yardstick": "[yardstick]\nretrained = -1"},
        {"target": '[[target]]\nname = "a/b"'},
        {"variant": '[[variant]]\nname = "v"\nsteps = [{ use = "structured-prune", ratio = 1.5 }]'},
        {"variant": '[[variant]]\nname = "v"\nsteps = [{ ratio = 0.3 }]'},
        {"variant": '[[variant]]\nname = "v"\nsteps = [{ use = "prune" }]'},
        {"variant": '[[variant]]\nname = "v"\nsteps = [{ use = "ptq", bts = 3 }]'},
        {"metric": '[[metric]]\nuse = "adversarial.pgd"\nmatrix.epsilon = [-0.1]'},
        {"metric": '[[metric]]\nuse = "adversarial.pgd"\nmatrix.epsilom = [0.1]'},
        {"metric": '[[metric]]\nuse = "cost"\ngate = [{ value = "x", max = 1 }]'},
        {"reference": '[reference]\nmodel = "convnet"\nwidth = [3]'},
        {"reference": '[reference]\nmodel = "convnett"'},
        {"reference": '[reference]\nmodel = "convnet"\nrecipe = { epoch = 3 }'},
        {"data": '[data]\nloader = "digits"\nevaluation = 5\nsede = 3'},
    ],
)
def test_bad_documents_do_not_fit(validator, parts):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(tomllib.loads(text(**parts)))


@pytest.mark.parametrize("table", [SuiteTable, *TABLES, Recipe, Target], ids=lambda table: table.__name__)
def test_every_key_of_the_tables_is_described(table):
    keys = TypeAdapter(table).json_schema()["properties"]
    assert [key for key, own in keys.items() if "description" not in own] == []


@pytest.mark.parametrize(
    ("registry", "table"), [(loaders, DataTable), (models, ReferenceTable), (steps, StepTable), (metrics, MetricTable)]
)
def test_no_parameter_hides_behind_a_key_of_its_table(registry, table):
    for name in registry.names():
        assert not set(registry.get(name).__pydantic_fields__) & set(table.model_fields), name
