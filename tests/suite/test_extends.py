"""``extends`` lays one suite over another."""

from pathlib import Path

import pytest

from bench.suite.extends import read_document
from bench.suite.load import load_suite
from tests.suite.documents import problems, text, write

FOLD = '[[variant]]\nname = "fold"\nsteps = [{ use = "bn-fold" }]\n'


def test_tables_are_merged_key_by_key_and_lists_replaced(tmp_path):
    write(tmp_path, text(), "base.toml")
    over = 'extends = "base.toml"\nseed = 7\n[data]\nevaluation = 100\n[reference.recipe]\nbatch = 32\n'
    over += '[[variant]]\nname = "four"\nsteps = [{ use = "ptq", bits = 4 }]\n'
    suite = load_suite(write(tmp_path, over))
    assert (suite.evaluation, suite.calibration, suite.loader.name) == (100, 128, "digits")
    assert (suite.reference.recipe.epochs, suite.reference.recipe.batch) == (2, 32)
    assert [variant.name for variant in suite.variants] == ["four"]
    assert [target.name for target in suite.targets] == ["torch", "edge"]
    assert (suite.seed, suite.yardstick.retrained) == (7, 4)


def test_the_name_is_not_inherited(tmp_path):
    write(tmp_path, text(), "base.toml")
    assert load_suite(write(tmp_path, 'extends = "base.toml"', "other.toml")).name == "other"
    assert load_suite(tmp_path / "base.toml").name == "small"
    assert load_suite(write(tmp_path, 'extends = "base.toml"\nname = "own"', "third.toml")).name == "own"


def test_a_file_whose_name_is_none_needs_a_name(tmp_path):
    (problem,) = problems(write(tmp_path, text(head=""), "my suite.toml"))
    assert problem.where == "name"


def test_another_choice_starts_its_table_afresh(tmp_path):
    write(tmp_path, text(data='[data]\nloader = "digits"\nevaluation = 360\nseed = 3'), "base.toml")
    (tmp_path / "x.npz").write_bytes(b"")
    over = 'extends = "base.toml"\n[data]\nloader = "npz"\npath = "x.npz"\n'
    over += '[reference]\nfactory = "net:build"\n[yardstick]\nweight_noise = 0.01\n'
    suite = load_suite(write(tmp_path, over))
    assert suite.loader.name == "npz"
    assert suite.loader.seed == 0
    assert suite.evaluation == 360
    assert suite.reference.model is None
    assert suite.reference.recipe is None
    assert (suite.yardstick.retrained, suite.yardstick.weight_noise, suite.yardstick.count) == (0, 0.01, 4)


def test_the_same_choice_keeps_the_rest(tmp_path):
    write(tmp_path, text(data='[data]\nloader = "digits"\nevaluation = 360\nseed = 3'), "base.toml")
    suite = load_suite(write(tmp_path, 'extends = "base.toml"\n[data]\nloader = "digits"\ncalibration = 9'))
    assert (suite.loader.seed, suite.evaluation, suite.calibration) == (3, 360, 9)


def test_three_files_deep(tmp_path):
    write(tmp_path, text(), "a.toml")
    write(tmp_path, 'extends = "a.toml"\n[data]\nevaluation = 100\ncalibration = 10', "b.toml")
    suite = load_suite(write(tmp_path, 'extends = "b.toml"\n[data]\nevaluation = 50', "c.toml"))
    assert (suite.evaluation, suite.calibration, suite.loader.name) == (50, 10, "digits")


def test_paths_are_relative_to_the_file_that_names_them(tmp_path):
    data = '[data]\nloader = "npz"\npath = "x.npz"\nevaluation = 10'
    reference = '[reference]\nonnx = "net.onnx"'
    variant = '[[variant]]\nname = "v"\nsteps = []'
    parts = {"reference": reference, "yardstick": "", "target": "", "variant": variant}
    write(tmp_path, text(data=data, **parts), "base/base.toml")
    for name in ("base/x.npz", "base/net.onnx", "int8.onnx"):
        (tmp_path / name).write_bytes(b"")
    own = 'extends = "base/base.toml"\n[data]\nevaluation = 9\n[[variant]]\nname = "int8"\nonnx = "int8.onnx"\n'
    suite = load_suite(write(tmp_path, own))
    assert suite.loader.path.resolve() == tmp_path / "base/x.npz"
    assert suite.reference.outside.onnx.resolve() == tmp_path / "base/net.onnx"
    assert suite.variants[0].outside.onnx.resolve() == tmp_path / "int8.onnx"


def test_a_path_that_is_overridden_is_relative_to_the_overriding_file(tmp_path):
    write(tmp_path, text(data='[data]\nloader = "npz"\npath = "x.npz"\nevaluation = 10'), "base/base.toml")
    (tmp_path / "own.npz").write_bytes(b"")
    middle = 'extends = "base/base.toml"\n[data]\npath = "own.npz"'
    write(tmp_path, middle, "middle.toml")
    suite = load_suite(write(tmp_path, 'extends = "../middle.toml"\n[data]\nevaluation = 9', "over/suite.toml"))
    assert suite.loader.path.resolve() == tmp_path / "own.npz"


def test_paths_do_not_depend_on_the_current_folder(tmp_path, monkeypatch):
    data = '[data]\nloader = "npz"\npath = "x.npz"\nevaluation = 10'
    write(tmp_path / "suites", text(data=data))
    (tmp_path / "suites/x.npz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert load_suite("suites/suite.toml").loader.path == Path("suites/x.npz")


def test_a_mistake_in_the_base_is_reported_with_its_file(tmp_path):
    write(tmp_path, text(variant=FOLD.replace("bn-fold", "bn-flod")), "base.toml")
    over = 'extends = "base.toml"\n[[metric]]\nuse = "costs"'
    found = problems(write(tmp_path, over))
    assert [problem.where for problem in found] == ["variant[0].steps[0].use (in base.toml)", "metric[0].use"]


def test_a_syntax_error_in_the_base_is_reported_with_its_line(tmp_path):
    write(tmp_path, "a = 1\nb =\n", "base.toml")
    (problem,) = problems(write(tmp_path, 'extends = "base.toml"'))
    assert problem.where == f"{tmp_path / 'base.toml'}:2"


@pytest.mark.parametrize(
    ("own", "base", "what"),
    [
        ('extends = "suite.toml"', "", "circle: suite.toml -> suite.toml"),
        ('extends = "base.toml"', 'extends = "./suite.toml"', "circle: suite.toml -> base.toml -> suite.toml"),
        ('extends = "none.toml"', "", "'none.toml' is no file"),
        ('extends = "."', "", "'.' is no file"),
        ('extends = "\\u0000"', "", "is no file"),
        (f'extends = "{"a" * 5000}"', "", "is no file"),
        ('extends = ["base.toml"]', "", "['base.toml'] is not a text"),
    ],
)
def test_a_base_that_does_not_serve_is_refused(tmp_path, own, base, what):
    write(tmp_path, base, "base.toml")
    (problem,) = problems(write(tmp_path, own))
    assert problem.where == "extends"
    assert what in problem.what


def test_a_base_may_be_shared_by_two_arms_of_a_tree(tmp_path):
    write(tmp_path, "seed = 1", "base.toml")
    write(tmp_path, 'extends = "base.toml"', "left.toml")
    assert read_document(write(tmp_path, 'extends = "left.toml"')).content == {"seed": 1}
