"""Step ``bn-fold``: fold BatchNorm into the layers around it, the null control of the whole harness."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bench.compression.base import Step, StepContext, steps
from bench.errors import NotApplicable
from bench.networks.network import InputSpec, Network, OnnxNetwork, TorchNetwork
from bench.registry import parameters

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto
    from torch import nn

    from bench.batch_norm_folding.folding import FoldedBatchNorm, KeptBatchNorm

PROBES = 32
FEW_PROBES = 2  # of large images, where float64 is slow
LARGE = 64 * 64
EXACT = 1e-9  # relative; float64 rounding alone stays near 1e-14


@steps.register("bn-fold")
@parameters
class BnFold(Step):
    """Fold each BatchNorm into the layers before it (backward) or, failing that, behind it (forward).

    Possible where everything that makes and reads the values concerned can take its map over, through sums,
    concatenations, average pools and flattening. The function stays the same in real arithmetic; the record says what
    became of each BatchNorm, why those that stay do, and the largest logit change in float64.
    """

    across_concatenation: Annotated[
        bool, Field(description="follow a BatchNorm through concatenations; published counts stop there")
    ] = True

    version: ClassVar[int] = 2
    packages: ClassVar[tuple[str, ...]] = ("torch", "onnx")
    consumes: ClassVar[frozenset[str]] = frozenset({"torch", "onnx"})
    refusal: ClassVar[dict[str, str]] = {
        "onnx-quantised": "its weights are rounded already; fold before quantising",
        "torch-quantised": "the scales of a quantised layer are already set; fold before quantising",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Fold; raises ``NotApplicable`` where no BatchNorm can be folded.

        A float ONNX file without any BatchNorm is handed on as it is: exporters fold by themselves.
        """
        from bench.batch_norm_folding.modules import fold_batch_norms

        if isinstance(network, OnnxNetwork):
            return self._fold_file(network)
        assert isinstance(network, TorchNetwork)
        folding = fold_batch_norms(
            network.module, network.input.network_shape, across_concatenation=self.across_concatenation
        )
        _require(folding.folded, folding.kept)
        record = _became(folding.folded, folding.kept) | self._logit_change(network, folding.module)
        return TorchNetwork(folding.module, network.input), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Replace the same BatchNorms; of an ONNX file, the file itself is the structure."""
        from bench.batch_norm_folding.folding import FoldedBatchNorm
        from bench.batch_norm_folding.modules import replace_batch_norm

        if isinstance(network, OnnxNetwork):
            return OnnxNetwork(b"", network.input)
        assert isinstance(network, TorchNetwork)
        module = copy.deepcopy(network.module)
        for entry in record["folded"]:
            replace_batch_norm(module, FoldedBatchNorm(**entry))
        return TorchNetwork(module, network.input)

    def _fold_file(self, network: OnnxNetwork) -> tuple[Network, dict[str, Any]]:
        import onnx

        from bench.batch_norm_folding.onnx_files.folding import fold_onnx

        model = onnx.load_model_from_string(network.model)
        made, result = fold_onnx(model, across_concatenation=self.across_concatenation)
        if not result.folded and not result.kept:
            record = _became(result.folded, result.kept)
            return OnnxNetwork(network.model, network.input), record | {"notes": ["the file has no BatchNorm left"]}
        _require(result.folded, result.kept)
        folded = OnnxNetwork(made.SerializeToString(deterministic=True), network.input)
        return folded, _became(result.folded, result.kept) | self._file_change(model, made, network.input)

    def _logit_change(self, network: TorchNetwork, after: nn.Module) -> dict[str, Any]:
        """Largest change of a logit on seeded uniform probes, both networks evaluated in float64.

        ``exact``: folded in float64 too, relative to the largest logit; ``cast``: with the folded weights as stored.

        Raises:
            RuntimeError: the fold itself is not exact.
        """
        import torch

        from bench.batch_norm_folding.modules import fold_batch_norms
        from bench.models.training import reproducible

        double = copy.deepcopy(network.module).double().eval()
        with reproducible("bn-fold"), torch.no_grad():
            x = _probes(network.input, _probe_count(network.input))
            logits = double(x)
            shape, across = network.input.network_shape, self.across_concatenation
            exact = fold_batch_norms(double, shape, across_concatenation=across).module(x)
            cast = copy.deepcopy(after).double()(x)
        return _differences(logits.numpy(), exact.numpy(), cast.numpy())

    def _file_change(self, model: ModelProto, made: ModelProto, declared: InputSpec) -> dict[str, Any]:
        """The same of an ONNX file, computed by ONNX's reference implementation.

        Raises:
            RuntimeError: the fold itself is not exact.
            NotApplicable: the reference implementation cannot run the file.
        """
        from bench.batch_norm_folding.exactness import doubled, run_in_double
        from bench.batch_norm_folding.onnx_files.folding import fold_onnx
        from bench.models.training import reproducible

        with reproducible("bn-fold"):
            x = _probes(declared, _fixed_batch(model) or _probe_count(declared)).numpy()
        double = doubled(model)
        exact, _ = fold_onnx(double, across_concatenation=self.across_concatenation)
        try:
            outputs = [run_in_double(each, x) for each in (double, exact, doubled(made))]
        except Exception as error:  # the reference implementation lacks some operators, and raises what it likes
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise NotApplicable(f"folding this file cannot be checked in float64 ({why})") from error
        return _differences(outputs[0], outputs[1], outputs[2])


def _became(folded: tuple[FoldedBatchNorm, ...], kept: tuple[KeptBatchNorm, ...]) -> dict[str, Any]:
    """The fate of each BatchNorm, as JSON and in one sentence."""
    backward = sum(entry.direction == "backward" for entry in folded)
    summary = f"{backward} folded backward, {len(folded) - backward} forward, {len(kept)} kept"
    return {
        "folded": [asdict(entry) for entry in folded],
        "kept": [asdict(entry) for entry in kept],
        "notes": [f"BatchNorms: {summary}", *(f"{entry.batch_norm} stays: {entry.reason}" for entry in kept)],
    }


def _require(folded: tuple[FoldedBatchNorm, ...], kept: tuple[KeptBatchNorm, ...]) -> None:
    if not folded:
        reasons = "; ".join(f"{entry.batch_norm}: {entry.reason}" for entry in kept)
        raise NotApplicable(f"no BatchNorm can be folded ({reasons or 'the network has none'})")


def _probe_count(declared: InputSpec) -> int:
    return FEW_PROBES if int(np.prod(declared.shape[1:])) > LARGE else PROBES


def _probes(declared: InputSpec, count: int) -> torch.Tensor:
    import torch

    from bench.models.training import preprocess

    low, high = declared.bounds
    probes = torch.rand(count, *declared.shape, dtype=torch.float64) * (high - low) + low
    return preprocess(probes, declared)


def _fixed_batch(model: ModelProto) -> int:
    """The batch size that a file asks for; 0 where it takes any."""
    stored = {tensor.name for tensor in model.graph.initializer}
    given = next(value for value in model.graph.input if value.name not in stored)
    dims = given.type.tensor_type.shape.dim
    return dims[0].dim_value if dims and dims[0].HasField("dim_value") else 0


def _differences(
    logits: np.ndarray[Any, Any], exact: np.ndarray[Any, Any], cast: np.ndarray[Any, Any]
) -> dict[str, Any]:
    size = max(float(np.abs(logits).max()), float(np.finfo(np.float64).tiny))
    largest = float(np.abs(exact - logits).max())
    if not largest / size < EXACT:
        raise RuntimeError(f"folding changed the logits by {largest / size:.3g} of their size in float64")
    return {
        "exact_relative": largest / size,
        "exact_largest": largest,
        "cast_largest": float(np.abs(cast - logits).max()),
        "probes": len(logits),
    }
