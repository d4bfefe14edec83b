"""The pages of mathematics tell every metric as the registry has it; formulas compile, and examples are computed."""

import doctest
import importlib.util
import re
from math import inf, log
from pathlib import Path

import pytest

from bench.metrics.base import metrics
from bench.metrics.values import Bound, Change, Cost, Proportion, Statistic

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "mathematics").glob("*.md"))
FAMILIES = {page.stem: page for page in PAGES if page.stem not in ("scale", "statistics")}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")
RANGES = {1.0: "0 to 1", log(2): "0 to log 2", 2.0: "0 to 2", inf: "0 or more"}
NAMES = sorted(name for name in metrics.names() if metrics.get(name).__module__.startswith("bench.metrics."))


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MATHML = loaded("mathml")


def sections(page):
    """The text under each heading of a metric, by its name."""
    parts = re.split(r"^## (.+)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {head.strip("`"): text for head, text in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text):
    """The rows of tables of values: name to the other cells."""
    found = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, flags=re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in found if cells.count(" | ") == 4}


def told(value):
    """Kind, unit, range where it is declared, direction and interval of a declared value, in the words of the pages."""
    unit = value.unit or "–"
    if isinstance(value, Change):
        kind = f"{'count' if value.count else 'change'}, p = {value.scale_power}"
        exact = "exact, simultaneous" if value.summary == "worst class" else "exact"
        return kind, unit, RANGES[value.largest], "0 = same", exact if value.count else "studentised"
    if isinstance(value, Bound):
        return f"bound, {value.evidence}", unit, None, value.better, "bound"
    if isinstance(value, Cost):
        return "cost", unit, "0 or more", value.better, "none"
    limits = "0 to 1" if isinstance(value, Proportion) else None
    if value.no_interval:
        interval = "none"
    elif value.better == "none":
        interval = "own figure"
    else:
        interval = "paired score" if isinstance(value, Proportion) else "paired bootstrap"
    if isinstance(value, Statistic) and (value.least, value.most) in ((0.0, 1.0), (-1.0, 1.0)):
        limits = "0 to 1" if value.least == 0 else "−1 to 1"
    return "quality", unit, limits, value.better, interval


def declared(name):
    """The values of a metric; the worst 5 % of each change is told once, on the page of the scale."""
    return [v for v in metrics.get(name).values if not (isinstance(v, Change) and v.summary == "worst 5 %")]


def formulas(page):
    """What is between dollars, and what stands in fences of mathematics."""
    text = page.read_text(encoding="utf-8")
    blocks = [body.strip() for kind, body in FENCE.findall(text) if kind == "math"]
    prose = re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))
    return re.findall(MATHML.INLINE, prose), blocks, re.sub(MATHML.INLINE, "", prose)


def test_every_metric_has_a_section_on_one_page_that_of_its_family():
    where = [(name, page.stem) for page in PAGES for name in sections(page) if name in NAMES]
    assert sorted(where) == [(name, metrics.get(name).family) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_told_as_it_is_declared(name):
    page = FAMILIES[metrics.get(name).family]
    own = rows(sections(page)[name])
    known = own or rows(sections(page)["What is compared of two maps"])
    values = declared(name)
    for value in values:
        kind, unit, limits, better, interval = told(value)
        assert known[value.name] == [kind, unit, limits or known[value.name][2], better, interval]
    assert set(own) <= {value.name for value in values}
    if not own and {value.name for value in values} != set(known):
        assert "without `sign_disagreement`" in sections(page)[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_source_that_a_metric_names_is_on_its_page(name):
    page = FAMILIES[metrics.get(name).family].read_text(encoding="utf-8")
    assert set(ARXIV.findall(metrics.get(name).__doc__)) <= set(ARXIV.findall(page))


def test_no_shipped_change_has_independent_draws_and_no_harm_lives_on_the_logarithm():
    """As the page of the scale says."""
    values = [value for name in NAMES for value in metrics.get(name).values]
    assert {value.coupling for value in values if isinstance(value, Change)} == {"common"}
    assert not any(getattr(value, "log", False) for value in values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_formula_compiles(page):
    inline, blocks, rest = formulas(page)
    assert "$" not in rest  # a dollar that opens or closes nothing
    assert blocks or page.stem == "cost"
    for formula in inline:
        assert MATHML.mathml(formula).startswith("<math")
        assert not re.search(r"\\[,;!{}\\]|\|", formula), formula  # GitHub's Markdown takes these for its own
    for formula in blocks:
        assert 'display="block"' in MATHML.mathml(formula, display=True)
    assert not re.search(
        r"\\(operatorname|mbox|phantom|def|newcommand)\b", page.read_text(encoding="utf-8")
    )  # GitHub's list


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        (r"\foo{x}", "unknown command"),
        (r"\arg x", "unknown command"),
        (r"\frac{a}", "argument is missing"),
        ("{a", "braces do not match"),
        ("a}", "braces do not match"),
        (r"\|x\|", "write bars as"),
        ("x_1_2", "DoubleSubscriptsError"),
        (r"\begin{cases} a", "MissingEndError"),
    ],
)
def test_a_formula_that_would_be_printed_wrong_is_refused(formula, why):
    with pytest.raises(ValueError, match=why):
        MATHML.mathml(formula)


def test_bars_open_and_close():
    text = MATHML.mathml(r"\lVert x \rVert \le \lvert y \rvert")
    assert re.findall(r'form="(\w+)"[^>]*>(.)<', text) == [
        ("prefix", "‖"), ("postfix", "‖"), ("prefix", "|"), ("postfix", "|"),
    ]  # fmt: skip


def test_upright_letters_are_one_word():
    assert "<mi>KL</mi>" in MATHML.mathml(r"\mathrm{KL}(p)")
    assert '<mo lspace="0.14em" rspace="0.1em">diag</mo>' in MATHML.mathml(r"\mathrm{diag}(r)")


def test_the_converter_s_own_example():
    assert doctest.testmod(MATHML).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_is_computed(page):
    code = "\n".join(body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == "python")
    test = doctest.DocTestParser().get_doctest(code, {}, page.stem, str(page), 0)
    assert test.examples
    told = []
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.append).failed == 0, (
        "".join(told)
    )


def test_the_menu_has_every_page():
    menu = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f"mathematics/{page.name}" in menu for page in PAGES)
    assert {metrics.get(name).family for name in NAMES} == set(FAMILIES)
