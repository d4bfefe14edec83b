from __future__ import annotations

import numpy as np
import pytest

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, labels_of


def test_what_was_not_declared_as_needed_is_not_there() -> None:
    context = Context(0, reference={"logits": Observation({"log_probabilities": np.zeros((2, 3))})})
    assert context.needed("logits")["log_probabilities"].shape == (2, 3)
    with pytest.raises(LookupError, match="the reference's 'jacobian' was not declared in needs"):
        context.needed("jacobian")


def test_a_probe_that_needs_labels_is_refused_without() -> None:
    x = np.zeros((2, 1), np.float32)
    assert labels_of(Samples(("a", "b"), x, np.array([1, 0]))).tolist() == [1, 0]
    with pytest.raises(NotApplicable, match=r"^needs labels; the data has none$"):
        labels_of(Samples(("a", "b"), x, None))
