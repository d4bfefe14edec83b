"""Inputs as text: the keys of a suite, with its checks."""

import re

import pytest

from bench.errors import UserError
from bench.suite.given_input import parse_input


def test_every_key():
    text = "layout=NHWC, dtype=uint8,scale=255,mean=[0.4, 0.5,0.6],std=[1,1,2],output=probabilities,output_name=p"
    assert parse_input(text, "--input") == {
        "layout": "NHWC", "dtype": "uint8", "scale": 255.0, "mean": [0.4, 0.5, 0.6], "std": [1.0, 1.0, 2.0],
        "output": "probabilities", "output_name": "p",
    }  # fmt: skip
    assert parse_input({"classes": [1, 0]}, "--input") == {"order": [1, 0]}
    assert parse_input("", "--input") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layuot=NHWC", "--input: layuot: unknown key; did you mean 'layout'?"),
        ("layout=NCWH", "--input: layout: unknown value 'NCWH'; did you mean 'NCHW'?"),
        ("scale=0", "--input: scale: 0 is not above 0"),
        ("mean=[0.5],std=[1,2]", "--input: 1 means and 2 standard deviations; give one of each a channel"),
        ("scale", "--input: 'scale' is not key=value"),
        ("scale=1,scale=2", "--input: given 'scale' twice"),
    ],
)
def test_mistakes(text, said):
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        parse_input(text, "--input")
