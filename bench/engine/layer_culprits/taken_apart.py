"""A network as layers: the graph that the analysis runs, what it takes and what it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from bench.data.base import Samples
from bench.engine.layer_culprits.files import as_onnx
from bench.errors import Problem, UserError
from bench.networks.network import InputSpec, Network

if TYPE_CHECKING:
    from bench.layer_matching import LayerGraph


class TakenApart(NamedTuple):
    """A network as layers, its final Softmax cut off where it can be, and what it takes and answers."""

    graph: LayerGraph
    declared: InputSpec
    smallest: float | None  # what a probability of zero counts as
    dtype: Any  # of its input

    def given(self, samples: Samples) -> NDArray[Any]:
        """The samples as the network takes them."""
        from bench.networks.interface import to_network

        return to_network(torch.from_numpy(samples.x), self.declared).numpy().astype(self.dtype)

    def answers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The network's outputs as logits of the data's classes."""
        from bench.networks.interface import combined, member_scores, to_logits

        scores = member_scores(torch.from_numpy(outputs), self.declared)
        return combined(to_logits(scores, self.declared, self.smallest), self.declared.combine).numpy()


def taken_apart(network: Network, where: str) -> TakenApart:
    """The layers of a network.

    Raises:
        UserError: it cannot be written as ONNX, or its graph cannot be taken apart; ``where`` is what it is called.
    """
    from bench.layer_matching import in_qdq_form, read_layers
    from bench.onnx_files.class_scores import scored, smallest_positive

    model, declared = scored(as_onnx(network, where).model, network.input)
    smallest = smallest_positive(model) if declared.output == "probabilities" else None
    try:
        graph = read_layers(in_qdq_form(onnx.load_model_from_string(model)))
    except UserError as error:
        raise UserError([Problem(where, p.what, p.right) for p in error.problems]) from None
    entry = next(value for value in graph.model.graph.input if value.name == graph.input).type.tensor_type
    fixed = entry.shape.dim[0].dim_value if entry.shape.dim else 0
    if fixed > 1:
        raise UserError.at(where, f"the file fixes a batch of {fixed}", "export it with a batch of 1, or an open one")
    alone = graph.dynamic or network.batch_dependent or fixed == 1
    dtype = onnx.helper.tensor_dtype_to_np_dtype(entry.elem_type)
    return TakenApart(replace(graph, dynamic=alone), declared, smallest, dtype)
