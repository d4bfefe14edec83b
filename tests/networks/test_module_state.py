"""What counts as another module: weights, buffers, settings, hooks, code; and what does not."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from bench.networks.module_state import module_state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.scale = 2.0
        self.shapes = [3, (4,)]
        self.plain = torch.ones(2)
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.activation = torch.relu

    def forward(self, x):
        return self.activation(self.layer(x)) * self.scale


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


def add_one(net):
    net.layer[0].weight.data += 1


CHANGES = {
    "weight": add_one,
    "running mean": lambda net: net.layer[1].running_mean.add_(1),
    "setting": lambda net: setattr(net, "scale", 3.0),
    "setting in a list": lambda net: net.shapes.append(1),
    "tensor that is no buffer": lambda net: net.plain.add_(1),
    "buffer that is not saved": lambda net: net.hidden.add_(1),
    "function": lambda net: setattr(net, "activation", torch.tanh),
    "lambda": lambda net: setattr(net, "activation", lambda x: x),
    "partial": lambda net: setattr(net, "activation", partial(torch.clamp, min=0)),
    "hook": lambda net: net.register_forward_hook(lambda module, given, out: out + 1),
    "method": lambda net: setattr(net, "forward", net.layer.forward),
    "another layer": lambda net: net.layer.append(nn.ReLU()),
    "setting of a layer": lambda net: setattr(net.layer[1], "eps", 0.1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_of_a_module_is_seen(net, change):
    before = module_state(net)
    assert module_state(net) == before
    change(net)
    assert module_state(net) != before


def test_running_it_and_its_mode_change_nothing(net):
    net.eval()
    before = module_state(net)
    net(torch.ones(2, 3)).sum().backward()
    net.zero_grad()
    net.train()
    assert module_state(net) == before


def test_a_module_that_holds_itself_ends(net):
    net.__dict__["me"] = net
    assert module_state(net) == module_state(net)


def test_with_a_name_for_its_code_it_is_the_same_in_another_process():
    code = """
import sys
import torch
from torch import nn
from bench.networks.module_state import module_state
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.GELU())
net.function = torch.relu
net.code = lambda x: x
print(module_state(net, named=True), module_state(net))
"""
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    (first, alone), (second, other) = (run.stdout.split() for run in runs)
    assert first == second
    assert alone != other


@pytest.mark.filterwarnings("ignore")
def test_torchscript_counts_by_its_code_and_weights(net):
    script = torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    before = module_state(script)
    assert module_state(script) == before
    next(script.parameters()).data.add_(1)
    assert module_state(script) != before
