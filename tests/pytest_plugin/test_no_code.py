"""``--crbench-no-code``: a suite or a pair that names code of others is refused before any of it runs."""


def test_a_suite_that_names_code_is_an_error_of_its_collection(fresh):
    (fresh.folder / "trap_of_plugin.py").write_text("open('TRAPPED', 'w').close()\n")
    fresh.suite(('onnx = "far.onnx"', 'factory = "trap_of_plugin:make"'))
    shown = fresh.pytest("suites/mine.toml", "--crbench-no-code", expect=2)
    assert "variant[1].factory: 'trap_of_plugin:make' is code of others, which is refused" in shown
    assert not (fresh.folder / "TRAPPED").exists()
    fresh.suite()
    assert "passed" in fresh.pytest(
        "suites/mine.toml", "--crbench-no-code", "-k", "close and accuracy", "--benchmark-skip"
    )


def test_a_pair_that_names_code_fails(fresh):
    (fresh.folder / "trap_of_plugin.py").write_text("open('TRAPPED', 'w').close()\n")
    fresh.test(
        "def test_it(crbench_pair):\n"
        "    pair = crbench_pair(reference='trap_of_plugin:make', variant='trap_of_plugin:make', data='x.npz')\n"
        "    pair.cell('fidelity.predictions')\n"
    )
    shown = fresh.pytest("test_mine.py", "--crbench-no-code", expect=1)
    assert "'trap_of_plugin:make' is code of others" in shown
    assert not (fresh.folder / "TRAPPED").exists()
