"""The table ``input`` of an outside network."""

import pytest

from bench.suite.load import load_suite
from tests.suite.documents import problems, text, write


def suite(tmp_path, given, yardstick=""):
    reference = f'[reference]\nfactory = "net:build"\ninput = {{ {given} }}'
    return write(tmp_path, text(reference=reference, yardstick=yardstick))


def test_everything_declared(tmp_path):
    given = 'scale = 255, mean = [127], std = [128], layout = "NHWC", dtype = "float32", classes = ["b", "a"]'
    found = load_suite(suite(tmp_path, given)).reference.outside.input
    assert found == {
        "scale": 255.0, "mean": [127.0], "std": [128.0], "layout": "NHWC", "dtype": "float32", "order": ["b", "a"],
    }  # fmt: skip
    assert load_suite(suite(tmp_path, "classes = [1, 0]")).reference.outside.input == {"order": [1, 0]}


@pytest.mark.parametrize(
    ("given", "where", "said"),
    [
        ('layout = "HWC"', "reference.input.layout", "unknown value 'HWC'"),
        ('dtype = "int8"', "reference.input.dtype", "unknown value 'int8'"),
        ("scale = 0", "reference.input.scale", "0 is not above 0"),
        ('order = ["a"]', "reference.input.order", "unknown key"),
        ('classes = ["a"]', "reference.input.classes", "is empty"),
        ('classes = ["a", 1]', "reference.input.classes", ""),
    ],
)
def test_mistakes(tmp_path, given, where, said):
    found = problems(suite(tmp_path, given))
    assert {problem.where.partition("[0]")[0] for problem in found} == {where} or found[0].where.startswith(where)
    assert said in found[0].what
