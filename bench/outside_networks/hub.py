"""Networks by name from timm, torchvision and Hugging Face, where those packages are installed."""

from __future__ import annotations

import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.errors import MissingExtra, UserError
from bench.interrupts import contained

if TYPE_CHECKING:
    from torch import nn

PACKAGES: Final = {"timm": "timm", "torchvision": "torchvision", "huggingface": "transformers"}
NAMED: Final = re.compile(r"(timm|torchvision|huggingface):([A-Za-z0-9][\w./-]*)")


def hub_package(factory: str) -> str | None:
    """The package that knows a name such as ``timm:resnet18``; None where it is no such name.

    >>> hub_package("huggingface:google/vit-base-patch16-224"), hub_package("nets:build")
    ('transformers', None)
    """
    match = NAMED.fullmatch(factory)
    return PACKAGES[match[1]] if match else None


def build_named(factory: str, pretrained: bool, where: str) -> nn.Module:
    """The network of a name, with the weights that its package publishes, or untrained.

    Raises:
        MissingExtra: the package is not installed.
        UserError: the package does not know the name, or cannot give the weights.
    """
    match = NAMED.fullmatch(factory)
    assert match is not None
    hub, name = match.groups()
    try:
        package = import_module(PACKAGES[hub])
    except ModuleNotFoundError as error:
        if error.name != PACKAGES[hub]:
            raise
        raise MissingExtra(PACKAGES[hub], hub) from None
    try:
        with contained():
            return BUILDERS[hub](package, name, pretrained)
    except UserError:
        raise
    except Exception as error:  # unknown names, no network, no such file: each package has its own exceptions
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError.at(where, f"{PACKAGES[hub]} cannot give {name!r}: {reason}", "check the name") from error


def _timm(package: Any, name: str, pretrained: bool) -> nn.Module:
    module: nn.Module = package.create_model(name, pretrained=pretrained)
    return module


def _torchvision(package: Any, name: str, pretrained: bool) -> nn.Module:
    """Published weights are pickles: they are fetched and converted as any other."""
    module: nn.Module = package.models.get_model(name, weights=None)
    if pretrained:
        import torch

        from bench.outside_networks.checkpoint import load_checkpoint
        from bench.outside_networks.convert import convert

        url = package.models.get_model_weights(name).DEFAULT.url
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weights.pth"
            digest = re.search(r"-([0-9a-f]{8,})\.pth$", url)
            torch.hub.download_url_to_file(url, str(file), digest[1] if digest else None, progress=False)
            load_checkpoint(module, convert(file).path, f"torchvision:{name}")
    return module


def _huggingface(package: Any, name: str, pretrained: bool) -> nn.Module:
    """Answers an object with ``logits``, which are taken as of any such network."""
    maker = package.AutoModelForImageClassification
    if pretrained:
        module: nn.Module = maker.from_pretrained(name, use_safetensors=True)
    else:
        module = maker.from_config(package.AutoConfig.from_pretrained(name))
    return module


BUILDERS: Final = {"timm": _timm, "torchvision": _torchvision, "huggingface": _huggingface}
