"""An ONNX file in a session of ONNX Runtime, as a predictor whose gradients are those of its twin."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from bench.errors import NotDifferentiable, UserError
from bench.integer_sums.pairs import Sums
from bench.networks.interface import (
    ONNX_INPUT_TYPES,
    class_scores,
    combined,
    member_scores,
    put_out,
    scored_classes,
    scores_shape,
)
from bench.networks.network import OnnxNetwork
from bench.onnx_files.class_scores import scored, smallest_positive
from bench.onnx_files.running import holds_loop, run_session
from bench.runtimes.base import Predictor, PredictorSpec, Softmax, Target
from bench.runtimes.integer_sums import resolved_sums
from bench.runtimes.onnx_operators import DYNAMIC, operators
from bench.runtimes.onnx_session import graph_of, open_session, reason
from bench.runtimes.running_file import running_file

if TYPE_CHECKING:
    from bench.onnx_import.twin import Twin


class OnnxPredictor(Predictor):
    """An ONNX file in an inference session.

    ``file`` is the user's own, as the target's format has it; ``scored`` the same with its class scores as its one
    output and without a final Softmax; ``running`` what the session holds, which is another file where only that sums
    exactly.
    """

    network: OnnxNetwork
    scores_index: int = 0  # of the class scores among the session's outputs
    _refusal: str = ""  # why the differentiable view is not trusted
    wide: bool = False  # whether the differentiable view of a float graph is computed in float64

    def __init__(self, network: OnnxNetwork, target: Target, threads: int) -> None:
        self.network = network
        self.threads = threads
        model, declared = scored(network.model, network.input)
        self.scored = replace(network, model=model)
        self.smallest = smallest_positive(model) if declared.output == "probabilities" else None
        self.running = running_file(self.scored, target)
        self.file, self.session = open_session(network, self.running, target, threads)
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(entry.name for entry in inputs)
            raise UserError.at("onnx", f"the file takes {len(inputs)} inputs ({names})", "it must take the image alone")
        self.input_name: str = inputs[0].name
        if inputs[0].type not in ONNX_INPUT_TYPES:
            right = f"it must be one of {', '.join(ONNX_INPUT_TYPES)}"
            raise UserError.at("onnx", f"its input is {inputs[0].type}", right)
        self.dtype = ONNX_INPUT_TYPES[inputs[0].type]
        if self.dtype is np.uint8 and network.input.dtype != "uint8":  # a cast would cut digits off silently
            raise UserError.at("onnx", "its input is uint8", 'declare input = { dtype = "uint8" } with its scale')
        self.loops = holds_loop(network.model)
        self.shape: list[Any] = list(inputs[0].shape)
        batch = self.shape[0] if self.shape else None
        self.fixed_batch: int | None = batch if isinstance(batch, int) else None
        dynamic = bool(DYNAMIC & set(operators(network.model)))
        sums = resolved_sums(target) if network.quantised else None
        softmax: Softmax = ""
        if network.input.output == "probabilities":
            softmax = "removed" if declared.output == "logits" else "kept"
        self.spec = PredictorSpec(
            input=declared,
            target=target,
            members=declared.members,
            batch_dependent=dynamic or network.batch_dependent,
            integer_sums=sums,
            softmax=softmax,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, batch, classes) of one preprocessed batch."""
        batch = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self.dtype)
        size = self.fixed_batch or len(batch)
        parts = [self._run(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return member_scores(torch.from_numpy(np.concatenate(parts)).float(), self.spec.input)

    def _run(self, batch: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
        missing = size - len(batch)
        full = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch
        out: np.ndarray[Any, Any] = run_session(self.session, {self.input_name: full}, loops=self.loops)[
            self.scores_index
        ]
        return class_scores(out)[: len(batch)]

    def as_shipped(self) -> OnnxPredictor:
        """The user's own file in a session: all its outputs, and its final Softmax."""
        if self.scored.model == self.network.model:
            return self
        shipped = copy.copy(self)
        target = self.spec.target
        shipped.running = running_file(self.network, target)
        _, shipped.session = open_session(self.network, shipped.running, target, self.threads)
        names = [entry.name for entry in shipped.session.get_outputs()]
        shipped.scores_index = names.index(name) if (name := self.network.input.output_name) in names else 0
        return shipped

    @cached_property
    def graph(self) -> bytes:
        """The graph that the session runs; where its layout is the processor's own, the same one before that.

        The layouts of the level ``all`` change the order of sums in floating point and nothing else.
        """
        return graph_of(self.running, self.spec.target)

    def trust(self, x: torch.Tensor) -> None:
        """Compare our import of the graph with the session on samples x; ``parity`` holds the figures.

        Raises:
            NotDifferentiable: it cannot be imported, or the two differ too much; says by how much.
        """
        from bench.onnx_import.parity import output_step, parity_of

        twin = self._twin(self.graph, "straight_through", self._session_sums())
        size = 1 if self.spec.batch_dependent else self.batch_size
        try:
            with torch.no_grad():
                logits = torch.cat([twin(batch) for batch in torch.split(x, size)])
        except UserError as error:
            raise NotDifferentiable(f"the imported graph does not run: {error}") from error
        parity = parity_of(logits, self._session_logits(x), output_step(twin.network))
        self.parity = parity.canonical()
        self._refusal = "" if parity.trusted else parity.refusal
        if self.spec.softmax == "removed" and not self.spec.simulated:
            self.parity["shipped"] = self._from_shipped(x)
        if self._refusal:
            raise NotDifferentiable(self._refusal)

    def _from_shipped(self, x: torch.Tensor) -> dict[str, float]:
        """The distance of the measured softmax from what the user's own file answers on samples x."""
        size = 1 if self.spec.batch_dependent else self.batch_size
        shipped = self.as_shipped()
        parts = [self.preprocess(batch) for batch in torch.split(x, size)]
        own = torch.cat([self.forward(part) for part in parts], dim=1).softmax(-1)
        theirs = torch.cat([shipped.forward(part) for part in parts], dim=1)
        return {"largest_probability_difference": float((own - theirs).abs().max())}

    def differentiable(
        self,
        gradient: Literal["exact", "straight_through", "hard"] = "exact",
    ) -> Twin:
        """Our import of the graph that the session runs, from user-space images to logits (batch, classes).

        Raises:
            NotDifferentiable: ``trust`` was not asked or refused, the graph cannot be imported, or exact gradients
                are asked of a graph that rounds.
        """
        if self.parity is None:
            raise NotDifferentiable("onnxruntime gives no gradients; call trust(samples) before its graph is imported")
        if self._refusal:
            raise NotDifferentiable(self._refusal)
        return self._twin(self.graph, gradient, self.spec.integer_sums or "exact")

    def saturating_twin(self) -> Twin:
        """The user's own file as x86 without VNNI computes it, from user-space images, for values alone."""
        return self._twin(graph_of(self.scored.model, self.spec.target), "hard", "saturating")

    def _session_sums(self) -> Sums:
        """The kind of the session's own sums, as far as its provider tells."""
        return self.spec.integer_sums or "exact"

    def _session_logits(self, x: torch.Tensor) -> torch.Tensor:
        """The session's own answers, (n, classes)."""
        return self.combined(x)

    def _twin(self, graph: bytes, gradient: Literal["exact", "straight_through", "hard"], sums: Sums) -> Twin:
        from bench.onnx_import.twin import Twin, doubled

        dtype = torch.from_numpy(np.zeros(1, dtype=self.dtype)).dtype
        twin = Twin(
            graph,
            gradient,
            self.spec.input,
            threads=self.threads,
            fixed_batch=self.fixed_batch,
            dtype=dtype,
            sums=sums,
            smallest=self.smallest,
        )
        return doubled(twin) if self.wide else twin

    def check(self) -> None:
        """One sample at the lower bound must give one row of class scores, two must give two; else ``UserError``."""
        declared = self.network.input
        wanted = [size if isinstance(size, int) else "?" for size in self.shape[1:]]
        given = declared.network_shape
        fits = len(wanted) == len(given) and all(
            size in ("?", asked) for size, asked in zip(wanted, given, strict=True)
        )
        if not fits:
            what = f"the file takes samples of shape {tuple(wanted)}, the data has {given}"
            raise UserError.at("input", what, "give a file that was exported for this data")
        shape = self._shape_of(1, "give a file that was exported for this data")
        classes, found = len(declared.classes), scored_classes(shape, 1, declared.members)
        if not found or classes not in (0, found):  # no classes declared: any number
            what = f"the file's first output has shape {shape} for one sample"
            right = f"it must be {scores_shape(1, declared.members, classes)}, one score a class"
            raise UserError.at("onnx", what, right)
        if self.fixed_batch is None and not self.spec.batch_dependent:
            advice = "declare a batch of 1 in the file, or export it with a free batch"
            both = self._shape_of(2, advice)
            if both != (2, *shape[1:]):
                raise UserError.at("onnx", f"the file's first output has shape {both} for two samples", advice)

    def _shape_of(self, count: int, advice: str) -> tuple[int, ...]:
        """The shape of the output for so many samples; ``UserError`` where the file does not run."""
        declared = self.network.input
        sample = self.preprocess(torch.full((count, *declared.shape), declared.bounds[0]))
        try:
            return put_out(self.forward(sample).shape, declared.members)
        except Exception as error:  # the runtime's exceptions share no base class of their own
            samples = f"{'one sample' if count == 1 else f'{count} samples'} of shape {declared.shape}"
            what = f"ONNX Runtime cannot run {samples}: {reason(error)}"
            raise UserError.at("onnx", what, advice) from error


class SimulatedPredictor(OnnxPredictor):
    """A network with saturating sums where no session here has them: the twin in place of the session.

    The session beside it has exact sums, and ``trust`` compares the exact twin with it. What that leaves unproven is
    the saturation alone, which equals the runtime's own bit for bit wherever both were at hand.
    """

    def __init__(self, network: OnnxNetwork, target: Target, threads: int) -> None:
        super().__init__(network, replace(target, integer_sums="exact"), threads)
        self.running = self.scored.model
        self.spec = replace(self.spec, target=target, integer_sums="saturating", simulated=True)

    @cached_property
    def _simulation(self) -> Twin:
        return self.saturating_twin()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (members, batch, classes) of one preprocessed batch, from the twin."""
        with torch.no_grad():
            return member_scores(self._simulation.run(x.float()), self.spec.input)

    def _session_sums(self) -> Sums:
        return "exact"

    def _session_logits(self, x: torch.Tensor) -> torch.Tensor:
        size = 1 if self.spec.batch_dependent else self.batch_size
        parts = [super(SimulatedPredictor, self).forward(self.preprocess(batch)) for batch in torch.split(x, size)]
        return combined(self.to_user(torch.cat(parts, dim=1)), self.spec.input.combine)
