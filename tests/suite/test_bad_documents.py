"""Every mistake is reported at its place, with what would be right."""

import json

import pytest

from tests.suite.documents import problems, text, write


def variant(body: str) -> dict[str, str]:
    return {"variant": f'[[variant]]\nname = "v"\n{body}'}


def metric(body: str, use: str = "fidelity.predictions") -> dict[str, str]:
    return {"metric": f'[[metric]]\nuse = "{use}"\n{body}'}


OUTSIDE = {"reference": '[reference]\nfactory = "net:build"', "yardstick": ""}

# What is replaced; then the place of each problem, what it says and what it advises, all of them.
BAD = {
    # keys and types
    "unknown key at the top": ({"head": 'name = "a"\nreplicate = 2'}, [("replicate", "unknown key", "'replicates'")]),
    "unknown table": (
        {"yardstick": "[yardsticks]\nretrained = 4"},
        [("yardsticks", "unknown key", "did you mean 'yardstick'?")],
    ),
    "unknown key of a table": (
        {"yardstick": "[yardstick]\nretraind = 4"},
        [("yardstick.retraind", "unknown key", "did you mean 'retrained'?")],
    ),
    "unknown key of a variant": (
        variant('steps = []\ntarget = ["torch"]'),
        [("variant[0].target", "unknown key", "did you mean 'targets'?")],
    ),
    "unknown key of a step": (
        variant('steps = [{ use = "structured-prune", ratio = 0.3, importnce = "l1" }]'),
        [("variant[0].steps[0].importnce", "unknown key", "did you mean 'importance'?")],
    ),
    "unknown key of a recipe": (
        {"reference": '[reference]\nmodel = "convnet"\nrecipe = { epoch = 2 }'},
        [("reference.recipe.epoch", "unknown key", "did you mean 'epochs'?")],
    ),
    "unknown parameter of a model": (
        {"reference": '[reference]\nmodel = "convnet"\nwidth = [8]'},
        [("reference.width", "unknown key", "did you mean 'widths'?")],
    ),
    "unknown parameter of a loader": (
        {"data": '[data]\nloader = "digits"\nevaluation = 360\nsede = 1'},
        [("data.sede", "unknown key", "did you mean 'seed'?")],
    ),
    "unknown parameter of a metric": (
        metric("epsilom = 0.1", "adversarial.pgd"),
        [
            ("metric[0].epsilom", "unknown key", "did you mean 'epsilon'?"),
            ("metric[0].epsilon", "is missing", "give largest change of a pixel"),
        ],
    ),
    "unknown key of a target": (
        {"target": '[[target]]\nname = "torch"\nthread = 2'},
        [("target[0].thread", "unknown key", "did you mean 'threads'?")],
    ),
    "unknown key of a gate": (
        metric('gate = [{ value = "js", max_gap = 1, strict = true }]'),
        [("metric[0].gate[0].strict", "unknown key", "known: margin, max_change")],
    ),
    "text for a number": (
        variant('steps = [{ use = "structured-prune", ratio = "0.3" }]'),
        [("variant[0].steps[0].ratio", "'0.3' is not a number", "give a number, 0 < ratio < 1")],
    ),
    "true for a number": (
        {"yardstick": "[yardstick]\nretrained = true"},
        [("yardstick.retrained", "true is not a whole number", "give a whole number, retrained >= 0")],
    ),
    "fraction for a whole number": (
        {"data": '[data]\nloader = "digits"\nevaluation = 36.5'},
        [("data.evaluation", "36.5 is not a whole number", "evaluation > 0")],
    ),
    "not a number": (
        variant('steps = [{ use = "structured-prune", ratio = nan }]'),
        [("variant[0].steps[0].ratio", "nan is not a number", "0 < ratio < 1")],
    ),
    "a date": ({"head": "name = 2024-01-01"}, [("name", "2024-01-01 is not a text", "give a text")]),
    "a table for a list": (
        {"variant": '[variant]\nname = "v"\nsteps = []'},
        [("variant", "a table is not a list of tables", "give a list of tables")],
    ),
    "a list's element": (
        {"reference": '[reference]\nmodel = "convnet"\nwidths = [8, "16"]\nstrides = [1, 2]'},
        [("reference.widths[1]", "'16' is not a whole number", "give a whole number")],
    ),
    "a choice": (
        {"target": '[[target]]\nname = "torch"\noptimisation = "al"'},
        [("target[0].optimisation", "unknown value 'al'", "did you mean 'all'?")],
    ),
    # ranges
    "ratio above": (
        variant('steps = [{ use = "structured-prune", ratio = 1.5 }]'),
        [("variant[0].steps[0].ratio", "1.5 is not below 1", "give a number, 0 < ratio < 1")],
    ),
    "ratio at the end": (
        variant('steps = [{ use = "bn-fold" }, { use = "structured-prune", ratio = 0 }]'),
        [("variant[0].steps[1].ratio", "0 is not above 0", "give a number, 0 < ratio < 1")],
    ),
    "bits": (
        variant('steps = [{ use = "ptq", bits = 16 }]'),
        [("variant[0].steps[0].bits", "16 is above 8", "give a whole number, 2 <= bits <= 8")],
    ),
    "noise without a measure": (
        variant('steps = [{ use = "weight-noise" }]'),
        [("variant[0].steps[0]", "give either sigma or accuracy_loss", "")],
    ),
    "more samples than there are": (
        metric("samples = 400"),
        [("metric[0].samples", "400 are more than the 360 evaluation samples", "give at most 360")],
    ),
    # names of what exists
    "step": (
        variant('steps = [{ use = "ptqq" }]'),
        [("variant[0].steps[0].use", "unknown step 'ptqq'", "did you mean 'ptq'?")],
    ),
    "metric": (
        {"metric": '[[metric]]\nuse = "fidelity.accurcy"'},
        [("metric[0].use", "unknown metric 'fidelity.accurcy'", "did you mean 'fidelity.accuracy'?")],
    ),
    "model": (
        {"reference": '[reference]\nmodel = "covnet"'},
        [("reference.model", "unknown model 'covnet'", "did you mean 'convnet'?")],
    ),
    "loader": (
        {"data": '[data]\nloader = "digit"\nevaluation = 360'},
        [("data.loader", "unknown loader 'digit'", "did you mean 'digits'?")],
    ),
    "runtime": (
        {"target": '[[target]]\nname = "edge"\nruntime = "onnx-runtime"'},
        [("target[0].runtime", "unknown runtime 'onnx-runtime'", "did you mean 'onnxruntime'?")],
    ),
    "target": (
        variant('steps = []\ntargets = ["torch", "egde"]'),
        [("variant[0].targets[1]", "unknown target 'egde'", "did you mean 'edge'?")],
    ),
    "target twice": (
        variant('steps = []\ntargets = ["torch", "torch"]'),
        [("variant[0].targets[1]", "'torch' stands here twice", "once")],
    ),
    "no targets": (variant("steps = []\ntargets = []"), [("variant[0].targets", "is empty", "names of targets")]),
    "module that is not there": (
        variant('steps = [{ use = "no_such_module:Step" }]'),
        [("variant[0].steps[0].use", "no module 'no_such_module'", "module:object")],
    ),
    "object that is not there": (
        variant('steps = [{ use = "bench.compression.ptq:Ptq" }]'),
        [("variant[0].steps[0].use", "'bench.compression.ptq' has no 'Ptq'", "")],
    ),
    "class of another kind": (
        variant('steps = [{ use = "bench.data.digits:Digits" }]'),
        [("variant[0].steps[0].use", "'bench.data.digits:Digits' is no step", "bench.compression.base.Step")],
    ),
    "class that is only a base": (
        variant('steps = [{ use = "bench.compression.base:Step" }]'),
        [("variant[0].steps[0].use", "'bench.compression.base:Step' is no step", "bench.compression.base.Step")],
    ),
    # names that are given
    "two variants": (
        {"variant": '[[variant]]\nname = "v"\nsteps = []\n[[variant]]\nname = "V"\nsteps = []'},
        [("variant[1].name", "'V' is the name of variant[0] already", "another")],
    ),
    "two targets": (
        {"target": '[[target]]\nname = "a"\n[[target]]\nname = "a"\nruntime = "onnxruntime"'},
        [("target[1].name", "'a' is the name of target[0] already", "another")],
    ),
    "a metric on no target": (
        {"metric": '[[metric]]\nuse = "cost"\ntargets = ["torch", "egde", "torch"]'},
        [
            ("metric[0].targets[1]", "unknown target 'egde'", "did you mean 'edge'?"),
            ("metric[0].targets[2]", "'torch' stands here twice", "once"),
        ],
    ),
    "two equal metrics": (
        {"metric": '[[metric]]\nuse = "cost"\n[[metric]]\nuse = "cost"\nsamples = 3'},
        [("metric[1].use", "'cost' with these parameters is metric[0] already", "other than samples")],
    ),
    "reserved": ({"variant": '[[variant]]\nname = "Reference"\nsteps = []'}, [("variant[0].name", "reserved", "")]),
    "a path": (
        {"variant": '[[variant]]\nname = "../v"\nsteps = []'},
        [("variant[0].name", "'../v' cannot stand here", "letters, digits")],
    ),
    "two dots": ({"variant": '[[variant]]\nname = "a..b"\nsteps = []'}, [("variant[0].name", "'a..b'", "letters")]),
    "control characters": (
        {"head": 'name = "a\\u0007b"'},
        [("name", "'a\\x07b' cannot stand here", "letters, digits")],
    ),
    "line feed at the end": ({"head": 'name = "a\\n"'}, [("name", "'a\\n' cannot stand here", "letters, digits")]),
    "target as a path": (
        {"target": '[[target]]\nname = "a/b"'},
        [("target[0].name", "'a/b' cannot stand here", "letters, digits")],
    ),
    "long name": (
        {"head": f'name = "{"a" * 101}"'},
        [("name", "is too long", "at most 100 characters")],
    ),
    "empty name": ({"head": 'name = ""'}, [("name", "'' cannot stand here", "letters, digits")]),
    # what is missing
    "no data": ({"data": ""}, [("data", "is missing", "[data]")]),
    "no reference": ({"reference": ""}, [("reference", "is missing", "[reference]")]),
    "no variant": ({"variant": ""}, [("variant", "is missing", "at least one [[variant]]")]),
    "empty variants": ({"head": 'name = "a"\nvariant = []', "variant": ""}, [("variant", "is empty", "at least one")]),
    "no metric": ({"metric": ""}, [("metric", "is missing", "at least one [[metric]]")]),
    "no samples": ({"data": '[data]\nloader = "digits"'}, [("data.evaluation", "is missing", "number of samples")]),
    "no use": (variant("steps = [{ bits = 8 }]"), [("variant[0].steps[0].use", "is missing", "a registered step")]),
    "no ratio": (
        variant('steps = [{ use = "structured-prune" }]'),
        [("variant[0].steps[0]", "give ratio, macs, or layers", "")],
    ),
    "nothing to do": (variant(""), [("variant[0]", "neither steps nor a source", "give steps")]),
    # the reference and the yardstick
    "two sources": (
        {"reference": '[reference]\nmodel = "convnet"\nfactory = "net:build"'},
        [("reference", "model and factory are 2 sources", "exactly one of model, factory, onnx")],
    ),
    "no source": (
        {"reference": "[reference]\nrecipe = { epochs = 2 }", "yardstick": ""},
        [("reference", "no source", "exactly one of model, factory, onnx")],
    ),
    "a factory that is no object": (
        {**OUTSIDE, "reference": '[reference]\nfactory = "net.build"'},
        [("reference.factory", "'net.build' cannot stand here", "module:object")],
    ),
    "weights without a network": (
        {"reference": '[reference]\ncheckpoint = "w.safetensors"', "yardstick": ""},
        [("reference", "no source", "exactly one"), ("reference.checkpoint", "weights need the network", "factory =")],
    ),
    "input of a network made here": (
        {"reference": '[reference]\nmodel = "convnet"\ninput = { mean = [0.5] }'},
        [("reference.input", "not from outside", "leave it out")],
    ),
    "input that does not fit itself": (
        {**OUTSIDE, "reference": '[reference]\nfactory = "net:build"\ninput = { mean = [0.5], std = [0.5, 0.1] }'},
        [("reference.input", "1 means and 2 standard deviations", "one of each a channel")],
    ),
    "input's key": (
        {**OUTSIDE, "reference": '[reference]\nfactory = "net:build"\ninput = { means = [0.5] }'},
        [("reference.input.means", "unknown key", "did you mean 'mean'?")],
    ),
    "key beside a factory": (
        {**OUTSIDE, "reference": '[reference]\nfactory = "net:build"\nonx = "a.onnx"'},
        [("reference.onx", "unknown key", "did you mean 'onnx'?")],
    ),
    "retrained from outside": (
        {**OUTSIDE, "yardstick": "[yardstick]\nretrained = 4"},
        [("yardstick.retrained", "not trained here", "weight_noise")],
    ),
    "two yardsticks": (
        {"yardstick": "[yardstick]\nretrained = 4\nweight_noise = 0.01"},
        [("yardstick", "retrained and weight_noise are two yardsticks", "else weight_noise")],
    ),
    "count of nothing": (
        {"yardstick": "[yardstick]\nretrained = 4\ncount = 3"},
        [("yardstick.count", "counts the noisy copies", "weight_noise")],
    ),
    # chains
    "prune after quantise": (
        variant('steps = [{ use = "ptq" }, { use = "structured-prune", ratio = 0.3 }]'),
        [("variant[0].steps[1]", "structured-prune cannot follow ptq", "")],
    ),
    "prune after export": (
        variant('steps = [{ use = "onnx-export" }, { use = "structured-prune", ratio = 0.3 }]'),
        [("variant[0].steps[1]", "structured-prune cannot follow onnx-export", "")],
    ),
    "quantise twice": (
        variant('steps = [{ use = "ptq" }, { use = "ptq" }]'),
        [("variant[0].steps[1]", "ptq cannot follow ptq: the network is quantised already", "")],
    ),
    "static quantisation of a module": (
        variant('steps = [{ use = "ort-static-quant" }]'),
        [("variant[0].steps[0]", "ort-static-quant cannot follow", "")],
    ),
    "retrain without a recipe": (
        {**OUTSIDE, **variant('steps = [{ use = "retrain" }]')},
        [("variant[0].steps[0]", "'retrain' trains by the reference's recipe", "give reference.recipe")],
    ),
    "calibrate on nothing": (
        {
            "data": '[data]\nloader = "digits"\nevaluation = 360\ncalibration = 0',
            **variant('steps = [{ use = "ptq" }]'),
        },
        [("variant[0].steps[0]", "'ptq' calibrates", "data.calibration")],
    ),
    # where it runs
    "exported on torch": (
        variant('steps = [{ use = "onnx-export" }]\ntargets = ["torch"]'),
        [("variant[0].targets[0]", "'torch' has runtime 'torch', which cannot run an onnx network", "another runtime")],
    ),
    "exported with torch alone": (
        {"target": "", **variant('steps = [{ use = "onnx-export" }]')},
        [("variant[0]", "no target runs it: it ends as an onnx network", 'runtime = "onnxruntime"')],
    ),
    # matrices and gates
    "matrix of an unknown parameter": (
        metric("epsilon = 0.1\nmatrix.epsilom = [0.1]", "adversarial.pgd"),
        [("metric[0].matrix.epsilom", "unknown key", "did you mean 'epsilon'?")],
    ),
    "matrix and parameter": (
        metric("epsilon = 0.1\nmatrix.epsilon = [0.1, 0.2]", "adversarial.pgd"),
        [("metric[0].matrix.epsilon", "'epsilon' is given beside the matrix too", "once")],
    ),
    "matrix of one": (
        metric("matrix.epsilon = 0.1", "adversarial.pgd"),
        [("metric[0].matrix.epsilon", "0.1 is not a list", "a list")],
    ),
    "empty matrix": (
        metric("epsilon = 0.1\nmatrix.steps = []", "adversarial.pgd"),
        [("metric[0].matrix.steps", "is empty", "")],
    ),
    "matrix with a bad value": (
        metric("matrix.epsilon = [0.1, -0.1]\nmatrix.steps = [5, 10]", "adversarial.pgd"),
        [("metric[0].matrix.epsilon[1]", "-0.1 is not above 0", "epsilon > 0")],
    ),
    "matrix with a value twice": (
        metric("matrix.epsilon = [0.1, 0.1]", "adversarial.pgd"),
        [("metric[0].matrix", "the same parameters twice", "leave one")],
    ),
    "gate on no value": (
        metric('gate = [{ value = "jss", max_gap = 1 }]'),
        [("metric[0].gate[0].value", "fidelity.predictions has no value 'jss'", "did you mean 'js'?")],
    ),
    "gate without a rule": (metric('gate = [{ value = "js" }]'), [("metric[0].gate[0]", "no rule", "max_gap")]),
    "gate with two rules": (
        metric('gate = [{ value = "js", max_gap = 1, max_change = 0.1 }]'),
        [("metric[0].gate[0]", "max_gap and max_change are 2 rules", "exactly one")],
    ),
    "gate twice": (
        metric('gate = [{ value = "js", max_gap = 1 }, { value = "js", max_gap = 2 }]'),
        [("metric[0].gate[1]", "max_gap on 'js' is gated already", "leave one")],
    ),
    "harm of a change": (
        metric('gate = [{ value = "js", max_harm = 1 }]'),
        [("metric[0].gate[0].max_harm", "'js' is a change, which has no harm", "gate it by max_gap or max_change")],
    ),
    "gap of a quality": (
        metric('gate = [{ value = "accuracy", max_gap = 1 }]', "fidelity.accuracy"),
        [("metric[0].gate[0].max_gap", "'accuracy' is a quality, which has no gap", "max_harm or min_value")],
    ),
    "gate on a bound": (
        metric('gate = [{ value = "largest_jacobian_norm", max_harm = 1 }]', "lipschitz.local"),
        [("metric[0].gate[0].max_harm", "is a bound, which has no harm", "a bound has no gate")],
    ),
    "least of what should be low": (
        metric('gate = [{ value = "nll", min_value = 1.0 }]', "uncertainty.calibration"),
        [("metric[0].gate[0].min_value", "'nll' is better when lower", "use max_value, or max_harm")],
    ),
    "most of what should be high": (
        metric('gate = [{ value = "accuracy", max_value = 1.0 }]', "fidelity.accuracy"),
        [("metric[0].gate[0].max_value", "'accuracy' is better when higher", "use min_value, or max_harm")],
    ),
    "gate without an interval": (
        metric('gate = [{ value = "ece", max_harm = 1.0 }]', "uncertainty.calibration"),
        [("metric[0].gate[0].max_harm", "'ece' has no interval", "")],
    ),
    "gap without a yardstick": (
        {"yardstick": "", **metric('gate = [{ value = "js", max_gap = 1 }]')},
        [("metric[0].gate[0].max_gap", "a gap needs a yardstick", "yardstick.retrained = 8")],
    ),
    "negative tolerance": (
        metric('gate = [{ value = "js", max_gap = -1 }]'),
        [("metric[0].gate[0].max_gap", "-1 is below 0", "max_gap >= 0")],
    ),
    # files
    "no file": (
        variant('onnx = "absent.onnx"'),
        [("variant[0].onnx", "'absent.onnx' is no file", "relative to suite.toml")],
    ),
    "a pickle": (
        variant('factory = "net:build"\ncheckpoint = "weights.pt"'),
        [("variant[0].checkpoint", "may hold a pickle, which is never read", "crbench convert")],
    ),
    "an ONNX file that is none": (
        variant('onnx = "suite.toml"'),
        [("variant[0].onnx", "does not end in .onnx", "give a .onnx file")],
    ),
    "data that is not there": (
        {"data": '[data]\nloader = "npz"\npath = "x.npz"\nevaluation = 360'},
        [("data.path", "'x.npz' is no file", "relative to suite.toml")],
    ),
    "two sources of a variant": (
        variant('factory = "net:build"\nonnx = "absent.onnx"'),
        [("variant[0]", "onnx and factory are 2 sources", "one"), ("variant[0].onnx", "is no file", "")],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_reported_where_it_stands(tmp_path, name):
    parts, expected = BAD[name]
    found = problems(write(tmp_path, text(**parts)))
    assert sorted(problem.where for problem in found) == sorted(where for where, _, _ in expected), found
    for where, what, right in expected:
        problem = next(problem for problem in found if problem.where == where)
        assert what in problem.what
        assert right in problem.right
        assert "\n" not in str(problem)


def test_the_good_document_has_no_problems(tmp_path):
    assert problems(write(tmp_path, text())) == []


def test_all_mistakes_come_at_once(tmp_path):
    content = """
        name = "a/b"
        seeds = 3
        [data]
        loader = "digit"
        evaluation = "many"
        [reference]
        model = "convnet"
        recipe = { epochs = -1 }
        [yardstick]
        retrained = 4
        weight_noise = 2.0
        [[target]]
        name = "edge"
        runtime = "onnx"
        [[variant]]
        name = "one"
        target = ["edge"]
        steps = [{ use = "structured-prune", ratio = 1.5 }, { use = "quantise" }]
        [[variant]]
        name = "one"
        steps = [{ use = "ptq" }, { use = "structured-prune", ratio = 0.5 }]
        [[metric]]
        use = "fidelity.predictions"
        gate = [{ value = "kl", max_harm = 0.1 }]
        [[metric]]
        use = "adversarial.pgd"
        """
    assert [problem.where for problem in problems(write(tmp_path, content))] == [
        "name",
        "data.evaluation",
        "reference.recipe.epochs",
        "yardstick.weight_noise",
        "variant[0].target",
        "seeds",
        "data.loader",
        "target[0].runtime",
        "variant[1].name",
        "variant[0].steps[0].ratio",
        "variant[0].steps[1].use",
        "variant[1].steps[1]",
        "metric[0].gate[0].value",
        "metric[1].epsilon",
    ]


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b'name = "a"\nname = "b"\n', "suite.toml:2", "not TOML: cannot overwrite a value"),
        (b'name = "a"\n\nreplicates 3\n', "suite.toml:3", "not TOML: expected '='"),
        (b'name = "a', "suite.toml", "not TOML"),
        (b'name = "\xff"', "suite.toml", "is not UTF-8 text"),
        (b"x = " + b"[" * 100_000, "suite.toml", ""),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(tmp_path, content, where, what):
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    (problem,) = problems(path)
    assert problem.where.startswith(str(tmp_path))
    assert problem.where.endswith(where)
    assert what in problem.what


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "\0", tmp_path / ("a" * 5000)):
        assert problems(path)[0].what == "is no file"


@pytest.mark.parametrize(
    "junk",
    [
        "data = 3",
        "reference = []",
        "yardstick = 1",
        'target = "torch"',
        "variant = [1]",
        "metric = 1",
        "variant = [[]]",
    ],
)
def test_tables_of_the_wrong_type_are_reported_and_not_stumbled_over(tmp_path, junk):
    key = junk.split()[0]
    found = problems(write(tmp_path, text(**{"head": f'name = "a"\n{junk}', key: ""})))
    assert found
    assert all(problem.where.startswith(key) for problem in found)


def toml(value):
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)


def replaced(value, junk):
    """Every document in which one part of ``value`` is junk."""
    yield junk
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        for other in replaced(item, junk):
            copy = value.copy()
            copy[key] = other
            yield copy


JUNK = [-1.5, float("nan"), 10**30, True, "a:b", "\x00", "a" * 5000, [], [{}], {"a": 1}]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:10])
def test_no_document_makes_it_stumble(tmp_path, junk):
    steps = [{"use": "structured-prune", "ratio": 0.3}, {"use": "ptq", "bits": 8}]
    gate = [{"value": "robust_error", "max_harm": 0.1}]
    good = {
        "data": {"loader": "npz", "path": "x.npz", "evaluation": 10, "calibration": 5},
        "reference": {"factory": "net:build", "input": {"mean": [0.5]}, "checkpoint": "w.safetensors"},
        "yardstick": {"weight_noise": 0.01, "count": 2},
        "target": [{"name": "edge", "runtime": "onnxruntime", "threads": 1}],
        "variant": [{"name": "a", "steps": steps, "targets": ["edge"]}, {"name": "b", "onnx": "net.onnx"}],
        "metric": [{"use": "adversarial.pgd", "matrix": {"epsilon": [0.1, 0.2]}, "samples": 5, "gate": gate}],
    }
    for name in ("x.npz", "w.safetensors", "net.onnx"):
        (tmp_path / name).write_bytes(b"")
    assert problems(write(tmp_path, "\n".join(f"{key} = {toml(value)}" for key, value in good.items()))) == []
    for document in replaced(good, junk):
        if not isinstance(document, dict):
            continue
        path = write(tmp_path, "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items()))
        for problem in problems(path):  # anything but a list of problems is a failure
            assert problem.where, document
            assert "\n" not in str(problem)
