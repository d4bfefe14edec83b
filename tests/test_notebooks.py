"""The notebooks of docs/ run from top to bottom and show what they promise."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SECONDS = 300

# where no notebook runner is installed, the cells run one after another in one namespace
PLAIN = """
import json, sys
import matplotlib
matplotlib.use("agg")
shown = []
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] != "code":
        continue
    lines = [line for line in "".join(cell["source"]).splitlines() if not line.startswith("%")]
    import ast
    tree = ast.parse("\\n".join(lines))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        html = value._repr_html_() if hasattr(value, "_repr_html_") else ""
        shown.append([repr(value), html])
json.dump(shown, open(sys.argv[2], "w", encoding="utf-8"))
"""


def run_plain(path, folder):
    command = [sys.executable, "-c", PLAIN, str(path), "shown.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return [html or text for text, html in json.loads((folder / "shown.json").read_text())] + [done.stdout]


def run_client(path, folder):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "MPLCONFIGDIR": str(folder / "matplotlib")}
    client = nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            shown.append(output.get("text") or data.get("text/html") or data.get("text/plain", ""))
            assert output.output_type != "stream" or output.name == "stdout", output
    return shown


@pytest.mark.filterwarnings("ignore")  # of the runner's own packages
def test_the_digits_notebook(tmp_path):
    path = FOLDER / "digits.ipynb"
    shown = (run_client if find_spec("nbclient") else run_plain)(path, tmp_path)
    boards = [text for text in shown if text.startswith("<iframe srcdoc=")]
    assert len(boards) == 2  # the pair's and the suite's
    assert not any(text.startswith("<pre") for text in shown)  # what a terminal would print is no output of its own
    assert "prune50" in boards[1]
    text = "\n".join(shown)
    assert "Jensen-Shannon divergence" in text
    assert "js_removed" in text
    assert "the same class on 100.0 %" in text
    assert "Sequential against the reference, on torch, 397 samples of arrays" in text
    assert "noise accuracy same" in text
    assert "prune50 accuracy " in text


def test_notebooks_are_kept_without_outputs():
    for path in FOLDER.glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name
