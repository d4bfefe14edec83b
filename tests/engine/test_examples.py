"""The worst-preserved samples of a cell: the ones by hand, and none where there is no map of an image."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest

from bench.engine.evidence import Evidence
from bench.engine.examples import SHOWN, worst_preserved
from bench.engine.in_memory import answers
from bench.functional.map_pictures import side_by_side
from bench.functional.similarity import cosine_distance
from bench.metrics.attribution.ig import IntegratedGradients
from bench.metrics.fidelity.accuracy import Accuracy

METRIC = IntegratedGradients(steps=4, most_steps=4)


@pytest.fixture
def shown(predictors, samples):
    few = samples.take(slice(0, 30))
    arrays = [answers(METRIC, predictors[name], few, predictors["reference"]) for name in ("reference", "retrained")]
    return few, arrays


def test_they_are_the_samples_of_largest_distance_with_their_maps(shown) -> None:
    images = pytest.importorskip("PIL.Image")
    few, (reference, variant) = shown
    evidence = Evidence([reference], [variant], [], None, len(few))
    made = worst_preserved(METRIC, evidence, few, (0.0, 1.0))
    distances = cosine_distance(reference["attribution"], variant["attribution"])
    worst = np.argsort(-distances)[:SHOWN]
    assert [item.sample for item in made] == [few.ids[row] for row in worst]
    assert [item.distance for item in made] == distances[worst].tolist()
    maps = [arrays["attribution"][worst[0]] for arrays in (reference, variant)]
    read = np.asarray(images.open(io.BytesIO(base64.b64decode(made[0].picture))))
    np.testing.assert_array_equal(read, side_by_side(few.x[worst[0]], (0.0, 1.0), *maps))


def test_what_has_not_moved_or_is_no_map_of_an_image_has_none(shown) -> None:
    few, (reference, variant) = shown
    same = Evidence([reference], [reference], [], None, len(few))
    assert worst_preserved(METRIC, same, few, (0.0, 1.0)) == []
    evidence = Evidence([reference], [variant], [], None, len(few))
    vectors = replace(few, x=few.x.reshape(len(few), -1))
    assert worst_preserved(METRIC, evidence, vectors, (0.0, 1.0)) == []
    assert worst_preserved(Accuracy(), evidence, few, (0.0, 1.0)) == []
