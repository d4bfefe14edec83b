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
    shown = fresh.pytest(imported=False)
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


def test_a_suite_as_windows_writes_it_is_collected_with_its_folder(measured):
    (measured.folder / "pytest.ini").unlink()
    (measured.folder / "pyproject.toml").write_text(
        '[project]\nname = "users"\n[tool.pytest.ini_options]\ncrbench_suites = ["suites/*.toml"]\n'
    )
    text = measured.suite().read_text()
    (measured.folder / "suites" / "mine.toml").unlink()
    (measured.folder / "suites" / "größer 1.toml").write_bytes(f"# ∞\n{text}".replace("\n", "\r\n").encode())
    shown = measured.pytest("suites/", "-k", "accuracy", expect=1)
    assert "FAILED suites/größer 1.toml::far-edge-fidelity.accuracy" in shown
    assert "look closer: crbench run 'suites/größer 1.toml' --only far/edge/fidelity.accuracy" in shown
    assert "1 failed, 1 passed, 4 deselected" in shown

    measured.suite(('name = "far"', 'name = "größer"'))
    shown = measured.pytest("suites/mine.toml", expect=2)
    assert "suites/mine.toml: variant[1].name: 'größer' cannot stand here; give letters" in shown


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
