"""Pruning, distillation and the controls from a suite file, through the store."""

STEPS = """
[[variant]]
name = "plain"
steps = [
  { use = "structured-prune", layers = { linear1 = 0.5 } },
  { use = "finetune", epochs = 2, learning_rate = 0.01 },
]

[[variant]]
name = "taught"
steps = [
  { use = "structured-prune", layers = { linear1 = 0.5 } },
  { use = "finetune", epochs = 2, learning_rate = 0.01, distillation = 1.0 },
]

[[variant]]
name = "small"
steps = [{ use = "structured-prune", layers = { linear1 = 0.5 } }, { use = "train-small" }]

[[variant]]
name = "wrong-layer"
steps = [{ use = "structured-prune", layers = { linear2 = 0.5 } }]
"""


def test_a_suite_prunes_distils_and_trains_small(measured):
    first = '[[metric]]\nuse = "fidelity.predictions"'
    measured.write(first, STEPS + "\n" + first)
    assert measured.run("run", "tiny.toml", "--quiet", "--only", "*/fidelity.*") == 3  # the wrong layer
    results = measured.results()
    flips = {
        cell["variant"]: cell
        for cell in results["cells"]
        if cell["metric"] == "fidelity.predictions" and cell["target"] == "torch"
    }
    assert {name: cell["status"] for name, cell in flips.items()} == {
        "noise": "ok",
        "plain": "ok",
        "taught": "ok",
        "small": "ok",
        "wrong-layer": "error",
    }
    assert "layers.linear2: no layer 'linear2'; did you mean 'linear1'?" in flips["wrong-layer"]["reason"]
    assert flips["taught"]["values"]["js"]["estimate"] < flips["plain"]["values"]["js"]["estimate"]
