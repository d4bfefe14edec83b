"""What is derived from several cells: reused with them, derived again with them, and kept when the store is emptied."""

from __future__ import annotations

import pytest

from bench.store.store import Store


def alarms(results):
    found = {
        (variant["name"], variant["target"], name): family["alarm"]
        for variant in results["variants"]
        for name, family in variant["families"].items()
    }
    return {place: alarm for place, alarm in found.items() if alarm is not None}


@pytest.fixture
def marked(measured):
    """A run whose stored alarms were all written over with 123, and what they were."""
    before = alarms(measured.results())
    assert before
    store = Store(str(measured.folder / ".crbench"))
    records = list(store.records("families"))
    assert records
    for record in records:
        if record.content.get("alarm") is not None:
            store.put("families", record.parts, record.content | {"alarm": 123.0})
    store.flush()
    return measured, before


def test_alarms_of_reused_cells_are_reused(marked):
    measured, before = marked
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert alarms(measured.results()) == dict.fromkeys(before, 123.0)


def test_alarms_of_cells_measured_again_are_derived_again(marked):
    measured, before = marked
    assert measured.run("run", "tiny.toml", "--quiet", "--rerun", "always") == 0
    assert alarms(measured.results()) == before
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert alarms(measured.results()) == before  # and stored


def test_alarms_in_use_survive_when_the_store_is_emptied(marked):
    measured, before = marked
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert measured.run("gc", "--older-than", "0") == 0
    assert measured.run("run", "tiny.toml", "--quiet") == 0
    assert alarms(measured.results()) == dict.fromkeys(before, 123.0)
