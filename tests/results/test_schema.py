"""The published JSON Schemas are current, and what commands write obeys them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bench.gate import conclude, judge_reference, results_json
from bench.results import Results
from bench.results.schema import PUBLISHED, as_text, json_schema, main
from tests.report.sample import hostile, sample

COMMITTED = Path(__file__).parents[2] / "docs" / "schema"


def fault(name: str, document: object) -> str:
    found = next(iter(jsonschema.Draft202012Validator(json_schema(name)).iter_errors(document)), None)
    return "" if found is None else found.message


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_committed_schemas_are_current(name: str, tmp_path: Path) -> None:
    committed = (COMMITTED / f"{name}.schema.json").read_text(encoding="utf-8")
    assert committed == as_text(name), "run: python -m bench.results.schema docs/schema"
    jsonschema.Draft202012Validator.check_schema(json_schema(name))
    main(str(tmp_path))
    assert (tmp_path / f"{name}.schema.json").read_text(encoding="utf-8") == committed


@pytest.mark.parametrize("results", [sample(), hostile()], ids=["sample", "hostile"])
def test_results_and_comparisons_obey_their_schemas(results: Results) -> None:
    assert fault("results", json.loads(results_json(results))) == ""
    comparison = conclude(results, judge_reference(results), "the reference")
    assert fault("comparison", json.loads(comparison.model_dump_json())) == ""


def test_what_is_no_result_of_this_version_does_not() -> None:
    whole = json.loads(results_json(sample()))
    assert fault("results", whole | {"schema": 1}) == "2 was expected"
    assert "was unexpected" in fault("results", whole | {"files": []})
    assert fault("results", {key: value for key, value in whole.items() if key != "schema"})
    (whole["cells"][0]["values"]["flip_rate"])["power"] = 3
    assert fault("results", whole)


def test_a_results_file_of_every_command_is_read_back_as_it_was() -> None:
    given = sample()
    assert Results.model_validate_json(results_json(given), strict=True).cells == given.cells


def test_every_measured_file_obeys_its_schema(measured) -> None:  # type: ignore[no-untyped-def]
    assert fault("results", measured.results()) == ""
