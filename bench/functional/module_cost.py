"""What a torch module holds and computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bench.graph.shared import shared_names
from bench.graph.torchscript import copied, script_layer

if TYPE_CHECKING:
    import torch
    from torch import nn


class Bits(NamedTuple):
    """Bits a weight, averaged over weights: as stored, and as the arithmetic uses them."""

    stored: float
    nominal: float


def state_bytes(module: nn.Module) -> int:
    """Size of the module's state as a safetensors file, in bytes; a tensor that layers share counts once."""
    from safetensors.torch import save

    tied = shared_names(module)
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in module.state_dict().items()
        if name not in tied
    }
    return len(save(state))


def parameter_count(module: nn.Module) -> int:
    """Weights and biases, the scales of quantisers not among them.

    >>> from torch import nn
    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    quantisers = [part for part in module.modules() if hasattr(part, "is_quant_enabled")]
    scales = {id(parameter) for part in quantisers for parameter in part.parameters()}
    return sum(parameter.numel() for parameter in module.parameters() if id(parameter) not in scales)


def _nominal(layer: nn.Module, stored: int) -> float:
    """The width a quantised layer rounds its weight to."""
    quantiser = getattr(layer, "weight_quant", None)
    if quantiser is None or not getattr(quantiser, "is_quant_enabled", False):
        return float(stored)
    width = quantiser.bit_width()
    return float(stored) if width is None else float(width)


def weight_bits(module: nn.Module) -> Bits | None:
    """Stored and nominal bits of weights with two axes or more; None where there are none.

    A quantised layer may store 32-bit floats that its quantiser rounds to 4 bits: stored 32, nominal 4. A weight that
    layers share counts once for each width.

    >>> from torch import nn
    >>> weight_bits(nn.Linear(3, 2))
    Bits(stored=32.0, nominal=32.0)
    """
    count, stored, nominal = 0, 0.0, 0.0
    seen: set[tuple[int, float]] = set()
    for layer in module.modules():
        weight: Any = getattr(layer, "weight", None)
        if getattr(weight, "ndim", 0) < 2:
            continue
        width = 8 * weight.element_size()
        rounded = _nominal(layer, width)
        if (id(weight), rounded) in seen:
            continue
        seen.add((id(weight), rounded))
        count += weight.numel()
        stored += width * weight.numel()
        nominal += rounded * weight.numel()
    return Bits(stored / count, nominal / count) if count else None


def multiply_accumulates(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of convolutions and linear layers on one sample of ``shape``; a copy of the module runs.

    Convolution: output elements · kernel elements · input channels / groups. Linear: output elements · inputs. Of
    ``nn.MultiheadAttention`` its projections. Functions called outside of modules, normalisation, pooling and
    activations are not counted. In a network with TorchScript, whose layers cannot be asked, every convolution and
    every product with a matrix counts, wherever it is called.

    >>> from torch import nn
    >>> multiply_accumulates(nn.Conv2d(1, 2, 3, padding=1), (1, 4, 4))
    288
    """
    import torch
    from torch import nn

    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        weight: Any = layer.weight
        if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            given = getattr(inputs[0], "value", inputs[0])
            total += given.numel() * weight[0].numel()
        else:
            total += getattr(output, "value", output).numel() * weight[0].numel()

    def count_attention(
        layer: nn.MultiheadAttention, given: tuple[torch.Tensor, ...], named: dict[str, Any], output: Any
    ) -> None:
        nonlocal total
        inputs = [*given[:3], *(named[name] for name in ("query", "key", "value") if name in named)]
        total += layer.embed_dim * sum(tensor.numel() for tensor in (*inputs, output[0]))

    counted = copied(module).cpu().eval()
    first = next((value for value in counted.state_dict().values() if value.is_floating_point()), None)
    example = torch.zeros(1, *shape, dtype=None if first is None else first.dtype)
    if script_layer(counted) is not None:
        return dispatched_multiply_accumulates(counted, example)
    layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
    for layer in counted.modules():
        if isinstance(layer, layers):
            layer.register_forward_hook(count)
        if isinstance(layer, nn.MultiheadAttention):
            layer.register_forward_hook(count_attention, with_kwargs=True)
    with torch.no_grad():
        counted(example)
    return total


def dispatched_multiply_accumulates(module: nn.Module, example: torch.Tensor) -> int:
    """Those of the convolutions and products with a matrix that torch really calls, TorchScript's among them.

    >>> import torch
    >>> dispatched_multiply_accumulates(torch.nn.Linear(4, 3), torch.zeros(1, 2, 4))
    24
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    aten, total = torch.ops.aten, 0

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            output = func(*args, **(kwargs or {}))
            if func in (aten.convolution.default, aten._convolution.default):
                transposed = args[6]
                total += (args[0] if transposed else output).numel() * args[1][0].numel()
            elif func in (aten.mm.default, aten.addmm.default):
                total += output.numel() * args[1 if func is aten.mm.default else 2].shape[0]
            return output

    with torch.no_grad(), Counting():  # type: ignore[no-untyped-call]
        module(example)
    return total
