from __future__ import annotations

import subprocess
import sys
from typing import get_args

from bench.metrics.base import Family, metrics
from bench.metrics.families import FAMILIES


def test_every_family_has_a_headline_that_has_a_gap() -> None:
    assert set(FAMILIES) == set(get_args(Family))
    for family, info in FAMILIES.items():
        metric = metrics.get(info.headline)
        assert metric.family == family
        assert (metric.headline is None) == (family == "cost")
        assert info.title.endswith("?")


def test_listing_metrics_pays_for_no_library() -> None:
    code = "import sys; from bench.metrics.base import metrics; metrics.names(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "onnx", "onnxruntime", "scipy", "sklearn", "brevitas", "captum", "foolbox", "eagerpy"}
    assert "bench.metrics.adversarial.pgd" in done.stdout.split()
    assert not heavy & set(done.stdout.split())
