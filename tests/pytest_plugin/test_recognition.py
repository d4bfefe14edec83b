"""Which TOML files are collected, and what a broken suite says."""

BROKEN = """
name = "broken"
[data]
loader = "digitz"
evaluation = 10
[reference]
onnx = "nowhere.onnx"
[[variant]]
name = "a b"
[[metric]]
use = "fidelity.accuracy"
"""


def test_suites_on_the_way_are_left_alone_and_plain_runs_import_nothing_heavy(fresh):
    fresh.test("def test_one():\n    pass\n")
    imported = [f"{name!r} in sys.modules" for name in ("numpy", "torch", "pydantic", "bench.api")]
    code = f"import sys\ndef pytest_sessionfinish():\n    print('imported', {', '.join(imported)})\n"
    (fresh.folder / "conftest.py").write_text(code)
    shown = fresh.pytest()
    assert "1 passed" in shown
    assert "imported False False False False" in shown
    assert "= crbench" not in shown


def test_configured_suites_are_collected_and_other_toml_is_not(fresh):
    (fresh.folder / "pytest.ini").write_text("[pytest]\ncrbench_suites = suites/*.toml *.toml\n")
    (fresh.folder / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (fresh.folder / "suites" / "other.toml").write_text('[tool]\nuse = "x"\n')
    (fresh.folder / "deeper").mkdir()
    (fresh.folder / "deeper" / "mine.toml").write_text((fresh.folder / "suites" / "mine.toml").read_text())
    shown = fresh.pytest("--collect-only", "-q")
    assert "6 tests collected" in shown
    assert {line.partition("::")[0] for line in shown.splitlines() if "::" in line} == {"suites/mine.toml"}


def test_problems_are_one_line_each(fresh):
    fresh.suite(name="broken.toml", text=BROKEN)
    (fresh.folder / "suites" / "cut.toml").write_text("[reference\n")
    shown = fresh.pytest("suites/broken.toml", "suites/cut.toml", expect=2)
    lines = [line for line in shown.splitlines() if line.startswith("suites/")]
    assert len(lines) == 5
    assert "data.loader: " in shown
    assert "did you mean 'digits'?" in shown
    assert "reference.onnx: " in shown
    assert "variant[0].name: " in shown
    assert any(line.startswith("suites/cut.toml:1: not TOML: ") for line in lines)
    assert "Traceback" not in shown
    assert "pytest_plugin" not in shown
