import pytest

from bench.suite.selection import first_match, matches, unused

PGD = "prune30/torch/adversarial.pgd[epsilon=0.1,steps=3]#1"


@pytest.mark.parametrize(
    ("pattern", "label", "found"),
    [
        ("prune30", PGD, True),
        ("prune*", PGD, True),
        ("prune30/torch", PGD, True),
        ("prune30/torch/adversarial.pgd", PGD, True),
        ("prune30/torch/adversarial.pgd[epsilon=0.1,steps=3]", PGD, True),  # brackets as they are printed
        (PGD, PGD, True),
        ("*/torch/*", PGD, True),
        ("*#1", PGD, True),
        ("torch", PGD, False),
        ("prune", PGD, False),
        ("prune30/edge", PGD, False),
        ("prune30/torch/adversarial.pgd[epsilon=0.2,steps=3]", PGD, False),
        ("torch/uint8*", "torch/uint8/fidelity.accuracy", True),  # a variant may be called torch
        ("torch/uint8*", "x/torch/uint8.metric", False),
    ],
)
def test_what_a_pattern_means(pattern, label, found):
    assert matches(label, pattern) is found
    assert first_match(label, ["nothing", pattern, "*"]) == (pattern if found else "*")


def test_a_pattern_that_means_nothing_is_told():
    assert unused([PGD], ["prune30", "prun"]) == [f"not_applicable: 'prun' matches no cell, a cell is such as {PGD}"]
    assert unused([], ["a"]) == ["not_applicable: 'a' matches no cell, a cell is such as none"]
