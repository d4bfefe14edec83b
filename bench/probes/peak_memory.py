"""Peak memory of an ONNX file on its target."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.probes.base import Context, Observation, Probe, probes
from bench.probes.memory_process import peak_memory
from bench.registry import parameters
from bench.runtimes.base import Predictor


@probes.register("peak-memory")
@parameters
class PeakMemory(Probe):
    """``peak_memory`` (0-d), bytes: what opening the file and running one image adds to a process with the runtime.

    Of ONNX Runtime targets alone, since a torch network has no file that its runtime opens by itself.
    """

    arrays: ClassVar[tuple[str, ...]] = ("peak_memory",)
    reads: ClassVar[Literal["rows", "set", "nothing"]] = "set"
    timing: ClassVar[bool] = True

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The peak, of one preprocessed image as often as the file insists on."""
        import torch

        from bench.runtimes.onnx_predictor import OnnxPredictor

        if not isinstance(predictor, OnnxPredictor):
            raise NotApplicable("a torch network has no file that its runtime opens by itself")
        if predictor.spec.simulated:
            raise NotApplicable("what is simulated has no memory of its own")
        image = predictor.preprocess(torch.from_numpy(samples.x[:1].copy())).numpy()
        batch = np.repeat(image, predictor.fixed_batch or 1, axis=0)
        return Observation({"peak_memory": np.array(peak_memory(predictor, batch))})
