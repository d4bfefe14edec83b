"""Random and published networks to fold, and a file of each."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional


def unsettle(module, seed=0):
    """Give every BatchNorm statistics and weights far from their defaults."""
    own = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=own))
            layer.running_var.copy_(torch.rand(layer.num_features, generator=own) * 3 + 0.1)
            if layer.affine:
                sign = torch.randint(0, 2, (layer.num_features,), generator=own) * 2.0 - 1
                layer.weight.data.copy_(sign * (torch.rand(layer.num_features, generator=own) + 0.5))
                layer.bias.data.copy_(torch.randn(layer.num_features, generator=own))
    return module.eval()


class RandomNetwork(nn.Module):
    """A random graph of convolutions, BatchNorms, sums, concatenations, averages and rectifiers on 4 x 4 images."""

    def __init__(self, seed, length=12):
        super().__init__()
        own = np.random.default_rng(seed)
        self.layers = nn.ModuleList()
        self.plan = []
        widths = [3]
        kinds = ["conv", "norm", "sum", "cat", "average", "relu", "max", "transposed"]
        odds = [0.3, 0.3, 0.12, 0.1, 0.06, 0.06, 0.02, 0.04]
        for _ in range(length):
            kind = own.choice(kinds, p=odds)
            first = len(widths) - 1 if own.random() < 0.7 else int(own.integers(len(widths)))
            second = int(own.integers(len(widths)))
            if kind == "sum":
                alike = [i for i, width in enumerate(widths) if width == widths[first]]
                second = int(own.choice(alike))
            index = -1
            if kind in ("conv", "norm", "transposed", "average"):
                layer, width = self.draw(kind, widths[first], own)
                index = len(self.layers)
                self.layers.append(layer)
            else:
                width = widths[first] + widths[second] if kind == "cat" else widths[first]
            self.plan.append((str(kind), first, second, index))
            widths.append(width)
        self.head = nn.BatchNorm1d(widths[-1] * (4 if own.random() < 0.5 else 1))
        self.flat = self.head.num_features != widths[-1]
        self.linear = nn.Linear(self.head.num_features, 5)

    @staticmethod
    def draw(kind, width, own):
        if kind == "norm":
            return nn.BatchNorm2d(width, affine=bool(own.random() < 0.9)), width
        if kind == "average":
            return nn.AvgPool2d(3, 1, 1, count_include_pad=bool(own.random() < 0.5)), width
        if kind == "transposed":
            return nn.ConvTranspose2d(width, 4, 3, padding=1, bias=bool(own.random() < 0.5)), 4
        groups = int(own.choice([g for g in (1, 2, 4, width) if width % g == 0]))
        outputs = groups * int(own.integers(1, 3)) if groups > 1 else int(own.choice([3, 4]))
        padded = own.random() < 0.5
        size, padding = (3, 1) if padded else (1, 0)
        return nn.Conv2d(width, outputs, size, padding=padding, groups=groups, bias=bool(own.random() < 0.5)), outputs

    def forward(self, x):
        made = [x]
        for kind, first, second, index in self.plan:
            if kind in ("conv", "norm", "transposed", "average"):
                made.append(self.layers[index](made[first]))
            elif kind == "sum":
                made.append(made[first] + made[second])
            elif kind == "cat":
                made.append(torch.cat([made[first], made[second]], 1))
            elif kind == "relu":
                made.append(functional.relu(made[first]))
            else:
                made.append(functional.max_pool2d(made[first], 3, 1, 1))
        pooled = functional.adaptive_avg_pool2d(made[-1], 2 if self.flat else 1)
        return self.linear(self.head(torch.flatten(pooled, 1)))


def random_network(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return unsettle(RandomNetwork(seed), seed).double()


def exported(module, shape, dtype=torch.float64, dynamic=True):
    """The file of a module, its BatchNorms in it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = str(Path(folder) / "network.onnx")
        axes = {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}} if dynamic else {}
        torch.onnx.export(
            module, (torch.zeros(2, *shape, dtype=dtype),), path, dynamo=False, opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
            input_names=["input"], output_names=["logits"], **axes,
        )  # fmt: skip
        return onnx.load(path)


def published(name):
    """A topology that comes with onnx, its constant weights replaced by seeded random ones."""
    import onnx.backend.test
    from onnx import numpy_helper

    path = Path(onnx.backend.test.__file__).parent / "data" / "light" / f"light_{name}.onnx"
    model = onnx.load(path)
    own = np.random.default_rng(0)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = tuple(stored[node.input[0]].tolist())
        spread = own.normal(0, np.prod(shape[1:]) ** -0.5, shape) if len(shape) > 1 else own.uniform(0.5, 1.5, shape)
        model.graph.initializer.append(numpy_helper.from_array(spread.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in read]:
        model.graph.initializer.remove(tensor)
    held = {tensor.name for tensor in model.graph.initializer}
    for value in [v for v in model.graph.input if v.name not in read or v.name in held]:
        model.graph.input.remove(value)
    model.ir_version = 8
    return model


class MobileNetV2(nn.Module):
    """Table 2 of arXiv:1801.04381, at width 1."""

    def __init__(self):
        super().__init__()
        layers = [self.block(3, 32, 3, 2)]
        width = 32
        table = [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]
        for expansion, channels, repeats, stride in table:
            for repeat in range(repeats):
                layers.append(Bottleneck(width, channels, stride if repeat == 0 else 1, expansion))
                width = channels
        layers.append(self.block(width, 1280, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(1280, 10)

    @staticmethod
    def block(width, channels, kernel, stride, groups=1):
        convolution = nn.Conv2d(width, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU6())

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class Bottleneck(nn.Module):
    def __init__(self, width, channels, stride, expansion):
        super().__init__()
        inner = width * expansion
        layers = [] if expansion == 1 else [MobileNetV2.block(width, inner, 1, 1)]
        layers += [MobileNetV2.block(inner, inner, 3, stride, groups=inner)]
        layers += [nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and width == channels

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)
