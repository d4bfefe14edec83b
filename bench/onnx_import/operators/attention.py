"""Scaled dot-product attention and rotary positions."""

from __future__ import annotations

from math import sqrt

import torch

from bench.onnx_import.operators.activations import normalised_exponentials
from bench.onnx_import.table import OnnxNode, operator
from bench.onnx_import.values import TORCH_TYPES


def _heads(x: torch.Tensor, heads: int | None) -> torch.Tensor:
    """(n, tokens, heads * size) as (n, heads, tokens, size); four axes stay."""
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads or 1, -1).transpose(1, 2)


@operator("Attention", since=23)
def attention(
    node: OnnxNode,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    past_key: torch.Tensor | None = None,
    past_value: torch.Tensor | None = None,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, ...]:
    """``softmax(Q K' scale + mask) V``, of (n, heads, tokens, size) or (n, tokens, heads * size).

    Returns the output, the keys and values including the past's, and the scores at the stage asked for.
    """
    flat = query.ndim == 3
    query, key = _heads(query, node.get("q_num_heads")), _heads(key, node.get("kv_num_heads"))
    value = _heads(value, node.get("kv_num_heads"))
    before = 0 if past_key is None else past_key.shape[2]
    if past_key is not None and past_value is not None:
        key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
    present = key, value
    if query.shape[1] != key.shape[1]:  # several queries share a key
        share = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(share, 1), value.repeat_interleave(share, 1)
    root = query.new_tensor(sqrt(node.get("scale", 1 / sqrt(query.shape[-1]))))
    scores = (query * root) @ (key * root).mT
    stages = [scores]
    if node.get("softcap", 0.0) > 0:
        scores = torch.tanh(scores / node.get("softcap")) * node.get("softcap")
    bias = _bias(node, scores, mask, before, valid)
    stages += [scores, scores + bias]
    scores = stages[-1]
    chances = _softmax(node, scores, bias).to(query.dtype)
    y = chances @ value
    stage = [*stages, chances][node.get("qk_matmul_output_mode", 0)]
    return (y.transpose(1, 2).flatten(2) if flat else y), *present, stage.to(query.dtype)


def _softmax(node: OnnxNode, scores: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Over the keys; zero for a query that may see none."""
    if "softmax_precision" in node.attributes:
        scores = scores.to(TORCH_TYPES[node.get("softmax_precision")])
    blind = (bias == -torch.inf).all(-1, keepdim=True)
    return normalised_exponentials(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)


def _bias(
    node: OnnxNode, scores: torch.Tensor, mask: torch.Tensor | None, before: int, valid: torch.Tensor | None
) -> torch.Tensor:
    """The bias of the scores: the mask, and minus infinity where a query may not look."""
    queries, keys = scores.shape[-2:]
    bias = scores.new_zeros((queries, keys))
    if mask is not None:
        short = (0, keys - mask.shape[-1])
        if mask.dtype == torch.bool:
            seen = torch.nn.functional.pad(mask.to(torch.uint8), short).bool()
            bias = bias.masked_fill(~seen, -torch.inf)
        else:
            bias = bias + torch.nn.functional.pad(mask, short, value=-torch.inf)
    at = bias.device
    start = torch.tensor(before, device=at) if valid is None or before else valid.reshape(-1, 1, 1, 1) - queries
    ahead = torch.arange(keys, device=at) - torch.arange(queries, device=at)[:, None] - start
    if node.get("is_causal", 0):
        bias = bias.masked_fill(ahead > 0, -torch.inf)
    left, right = node.get("left_window_size", -1), node.get("right_window_size", -1)
    if left >= 0:
        bias = bias.masked_fill(ahead < -left, -torch.inf)
    if right >= 0:
        bias = bias.masked_fill(ahead > right, -torch.inf)
    if valid is not None:
        padding = torch.arange(keys, device=valid.device) >= valid.reshape(-1, 1, 1, 1)
        bias = bias.masked_fill(padding, -torch.inf)
    return bias


@operator("RotaryEmbedding", since=23)
def rotary_embedding(
    node: OnnxNode, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, position_ids: torch.Tensor | None = None
) -> torch.Tensor:
    """Pairs of features turned by an angle for each position (arXiv 2104.09864)."""
    tokens = _heads(x, node.get("num_heads")).transpose(1, 2)
    turned = node.get("rotary_embedding_dim", 0) or tokens.shape[-1]
    if position_ids is not None:
        cosine, sine = cosine[position_ids.to(torch.int64)], sine[position_ids.to(torch.int64)]
    cosine, sine = cosine.unsqueeze(2), sine.unsqueeze(2)
    part, rest = tokens[..., :turned], tokens[..., turned:]
    interleaved = node.get("interleaved", 0)
    a, b = (part[..., 0::2], part[..., 1::2]) if interleaved else part.chunk(2, -1)
    real, imaginary = cosine * a - sine * b, sine * a + cosine * b
    joined = torch.stack([real, imaginary], -1).flatten(-2) if interleaved else torch.cat([real, imaginary], -1)
    y = torch.cat([joined, rest], -1)
    return y.reshape(x.shape) if x.ndim == 3 else y.transpose(1, 2)
