"""What reports say of 8-bit sums: in the terminal, on the page, beside the judgements of a gate."""

import html

import pytest
from rich.console import Console

from bench.report import judgement_markdown, judgement_terminal
from bench.report.html import render_html
from bench.report.terminal import render
from bench.results import Comparison
from bench.wording_of_sums import REMEDY

EVIL = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
def told(sample_run):
    """A copy of the sample run whose first cell has 8-bit sums, in a layer with a hostile name."""
    layers = [{"name": EVIL, "operator": "QLinearConv", "can_saturate": 0.275, "saturated": 0.0348}]
    sums = {"kind": "saturating", "asked": "saturating", "simulated": True, "samples": 64, "layers": layers}
    first = sample_run.cells[0]
    details = {**first.details, "variant": {**first.details.get("variant", {}), "integer_sums": sums}}
    cells = [first.model_copy(update={"details": details}), *sample_run.cells[1:]]
    return sample_run.model_copy(update={"cells": cells})


def printed(run):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    render(run, console)
    console.file.close()
    return " ".join(console.export_text().split())


def test_the_terminal_lists_what_saturates_and_what_avoids_it(told, sample_run):
    text = printed(told)
    assert "Sums of 8-bit products" in text
    assert "saturating, simulated; 27.5 % of weight pairs in layer" in text
    assert "on 64 samples 3.48 % of the pair sums of layer" in text
    assert REMEDY in text
    assert "\x1b" not in text
    assert "Sums of 8-bit products" not in printed(sample_run)


def test_the_page_lists_it_too_and_a_layer_cannot_become_an_element(told, sample_run):
    page = render_html(told)
    assert '<h2 id="h-sums">' in page
    assert html.escape("<script>alert(1)</script>", quote=False) in page
    assert "<script>alert" not in page
    assert "h-sums" not in render_html(sample_run)


def test_the_notes_of_a_gate_stand_before_its_closing_line(told):
    found = Comparison(suite="s", baseline="b", exit_code=0, closing="passed: 1 same", notes=["v (edge): **it is**"])
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    judgement_terminal.render(found, console)
    console.file.close()
    assert console.export_text().splitlines()[-2:] == ["! v (edge): **it is**", "passed: 1 same"]
    assert "- v \\(edge\\): \\*\\*it is\\*\\*" in judgement_markdown.summary(found)
