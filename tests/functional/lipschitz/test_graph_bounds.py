"""Upper bounds of networks with convolutions, skips and pools, beside what two inputs really do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.canonical_form.trace import canonical_form
from bench.errors import NotApplicable
from bench.functional.lipschitz.certificate import best
from bench.functional.lipschitz.chain_bounds.rounding import top_eigenvalue
from bench.functional.lipschitz.graph_bounds import composites
from bench.functional.lipschitz.graph_bounds.clever import clever, right_end
from bench.functional.lipschitz.graph_bounds.dense_chain import dense_chain
from bench.functional.lipschitz.graph_bounds.liplt import liplt, product
from bench.functional.lipschitz.graph_bounds.lower import jacobian_lower, secant_lower

X = torch.rand(12, 2, 6, 6, generator=torch.Generator().manual_seed(5))


class Skip(nn.Module):
    """``x + branch(x)``, or both one after the other."""

    def __init__(self, branch: nn.Module, whole: bool = False) -> None:
        super().__init__()
        self.branch, self.whole = branch, whole

    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1) if self.whole else x + self.branch(x)


def norm(seed: int) -> nn.BatchNorm2d:
    random = torch.Generator().manual_seed(seed)
    layer = nn.BatchNorm2d(3)
    layer.running_mean.data = torch.randn(3, generator=random)
    layer.running_var.data = torch.rand(3, generator=random) + 0.3
    layer.weight.data = torch.randn(3, generator=random)
    return layer


def network(kind: str) -> nn.Module:
    torch.manual_seed(3)
    first = nn.Conv2d(2, 3, 3, padding=1)
    branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), norm(1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))
    middle = {
        "plain": nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 3, stride=2), nn.GELU()),
        "skip": nn.Sequential(norm(0), nn.ReLU(), Skip(branch), nn.ReLU()),
        "concatenated": nn.Sequential(nn.SiLU(), Skip(branch, whole=True), nn.Hardswish()),
        "pooled": nn.Sequential(nn.MaxPool2d(3, 2, 1), Skip(branch), nn.LeakyReLU(0.1), nn.AvgPool2d(3, 1, 1)),
    }[kind]
    with torch.no_grad():
        size = middle(first(X)).flatten(1).shape[1]
    return nn.Sequential(first, middle, nn.Flatten(), nn.Linear(size, 4)).eval()


KINDS = ["plain", "skip", "concatenated", "pooled"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_lower_bound_lies_below_every_upper_one(kind) -> None:
    graph = canonical_form(network(kind), X)
    upper = {bound.method: bound for bound in (liplt(graph), product(graph))}
    lower = [jacobian_lower(graph, X.numpy()), secant_lower(graph, X.numpy(), steps=20)]
    assert {bound.kind for bound in lower} == {"lower"}
    assert 0 < max(bound.value for bound in lower) <= upper["LipLT"].value <= upper["product"].value
    assert ("multiplied" in upper["product"].note) == (kind != "plain")
    assert len(upper["product"].layers) >= 4
    for layer in upper["product"].layers:
        assert layer.lower <= layer.upper
        assert layer.lower > 0.9 * layer.upper or layer.rule in ("slopes", "windows or classes"), layer


@pytest.mark.parametrize("kind", KINDS)
def test_in_l_infinity_the_product_holds_too(kind) -> None:
    graph = canonical_form(network(kind), X)
    upper = product(graph, norm="linf")
    lower = max(f(graph, X.numpy(), norm="linf").value for f in (jacobian_lower, secant_lower))
    assert upper.norm == "linf"
    assert 0 < lower <= upper.value


@pytest.mark.parametrize("kind", KINDS)
def test_where_maps_are_too_large_layers_are_multiplied_and_it_is_said(kind, monkeypatch) -> None:
    graph = canonical_form(network(kind), X)
    sharp = liplt(graph)
    monkeypatch.setattr(composites, "MOST", 20)  # the four logits alone are written out
    coarse = liplt(graph)
    assert sharp.value <= coarse.value <= product(graph).value * (1 + 1e-6)
    assert "hold products of layers' norms" in coarse.note
    assert "hold products" not in sharp.note


def test_of_a_chain_it_is_the_published_recursion() -> None:
    """``m_k = 2^{1−k} ‖W_k … W_1‖ + Σ_{j<k} 2^{j−k} ‖W_k … W_{j+1}‖ m_j`` (arXiv 2310.00116), written out."""
    torch.manual_seed(0)
    layers = [nn.Linear(a, b) for a, b in ((5, 7), (7, 6), (6, 8), (8, 3))]
    module = nn.Sequential(*[item for layer in layers for item in (layer, nn.ReLU())][:-1])
    weights = [layer.weight.detach().double().numpy() for layer in layers]
    m: list[float] = []
    for k in range(1, 5):
        maps = [np.linalg.multi_dot([np.eye(len(weights[k - 1])), *weights[j:k][::-1]]) for j in range(k)]
        total = 2.0 ** (1 - k) * np.linalg.norm(maps[0], 2)
        total += sum(2.0 ** (j - k) * np.linalg.norm(maps[j], 2) * m[j - 1] for j in range(1, k))
        m.append(total)
    assert liplt(canonical_form(module.eval(), torch.zeros(1, 5))).value == pytest.approx(m[-1], rel=1e-5)


def test_padding_with_zeros_crops_between_layers() -> None:
    """The composed symbol of these kernels says 3.2952, and the two layers together have 3.6021."""
    kernels = [-2.13220696, -2.19858862, -0.84477654], [0.46295359, -1.11981482, 1.10872162]
    layers = [nn.Conv1d(1, 1, 3, padding=1, bias=False) for _ in kernels]
    for layer, kernel in zip(layers, kernels, strict=True):
        layer.weight.data = torch.tensor(kernel).reshape(1, 1, 3)
    graph = canonical_form(nn.Sequential(*layers).eval(), torch.zeros(1, 1, 8))
    assert len(graph.nodes) == 3  # two convolutions stay two
    found = composites.Composites(graph, {}, lambda node: 100.0, (2,)).of(0, 2)
    assert found.exact
    assert found.value == pytest.approx(3.6021, abs=1e-4)


def test_folding_batch_norm_moves_no_bound() -> None:
    module = network("skip")
    folded = nn.utils.fuse_conv_bn_eval(module[0], module[1][0])
    other = nn.Sequential(folded, *list(module[1])[1:], *list(module)[2:]).eval()
    one, two = (canonical_form(each, X) for each in (module, other))
    for method in (product, liplt):
        assert method(one).value == pytest.approx(method(two).value, rel=1e-5)


def test_small_convolutional_networks_are_chains() -> None:
    module = network("plain")
    graph = canonical_form(module, X)
    chain = dense_chain(graph)
    hidden = X.double().flatten(1).numpy()
    for weight, bias, function in zip(chain.weights, chain.biases, (torch.relu, nn.functional.gelu, None), strict=True):
        hidden = hidden @ weight.T + bias
        hidden = hidden if function is None else function(torch.from_numpy(hidden)).numpy()
    np.testing.assert_allclose(hidden, module.double()(X.double()).detach().numpy(), rtol=1e-6)
    with pytest.raises(NotApplicable, match="the network has branches"):
        dense_chain(canonical_form(network("skip"), X))
    with pytest.raises(NotApplicable, match="MaxPool has no place in a chain"):
        dense_chain(canonical_form(nn.Sequential(nn.MaxPool2d(2)).eval(), X))
    with pytest.raises(NotApplicable, match="108 neurons; methods for chains take 50 a layer"):
        dense_chain(canonical_form(module.float(), X), most=50)


def test_the_largest_eigenvalue_is_never_too_small() -> None:
    random = np.random.default_rng(0)
    for n in (1, 3, 70):
        rows = random.normal(size=(n, 2 * n))
        gram = rows @ rows.T
        exact = np.linalg.eigvalsh(gram)[-1]
        assert exact <= top_eigenvalue(gram) <= exact * (1 + 1e-7)
        assert exact**0.5 <= composites.norm_of(torch.from_numpy(rows)) <= exact**0.5 * (1 + 1.1e-6)
    assert top_eigenvalue(np.zeros((2, 2))) == 0
    assert composites.norm_of(torch.zeros(2, 2)) == 0
    with pytest.raises(ValueError, match="not finite"):
        composites.norm_of(torch.full((2, 2), torch.nan))


def test_a_layer_without_a_norm_is_named() -> None:
    module = nn.Sequential(nn.Conv2d(2, 2, 1), nn.AvgPool2d(2, divisor_override=3))
    with pytest.raises(NotApplicable, match=r"avg_pool2d behind 0: .* a divisor of its own has no norm"):
        product(canonical_form(module.eval(), X))
    assert jacobian_lower(canonical_form(module.eval(), X), X.numpy()).value > 0


def test_clever_is_exact_where_nothing_varies_and_an_estimate_elsewhere() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]])
    linear = nn.Sequential(nn.Linear(2, 3, bias=False))
    linear[0].weight.data = weight
    found = clever(canonical_form(linear.eval(), torch.zeros(1, 2)), np.zeros(2), 0.5, batches=4, size=8)
    centred = (weight.double() - weight.double().mean(dim=0)).numpy()
    assert (found.kind, found.domain) == ("estimate", "ball of radius 0.5")
    assert found.value == pytest.approx(np.linalg.norm(centred, 2), rel=1e-9)
    graph = canonical_form(network("plain"), X)
    again = [clever(graph, X[0].numpy(), 0.3, batches=8, size=8, seed=seed).value for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]
    assert best([found]) is None
    with pytest.raises(ValueError, match="radius 0"):
        clever(graph, X[0].numpy(), 0.0)


def test_the_right_end_of_a_known_distribution_is_found() -> None:
    random = np.random.default_rng(0)
    draws = 5.0 - 2.0 * random.weibull(3.0, size=4000)
    assert right_end(draws) == pytest.approx(5.0, abs=0.1)
    assert right_end(draws) >= draws.max()


class Kinked(nn.Module):
    """``2 x − relu(x) + relu(−x)``: x itself, whose derivative by parts is 2 at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.layer.weight.data.fill_(1.0)
        self.layer.bias.data.fill_(0.0)

    def forward(self, x):
        z = self.layer(x)
        return 2 * z - torch.relu(z) + torch.relu(-z)


def test_a_jacobian_at_a_kink_of_several_neurons_is_no_lower_bound() -> None:
    graph = canonical_form(Kinked().eval(), torch.ones(2, 1))
    found = jacobian_lower(graph, np.zeros((1, 1)))
    assert found.value == pytest.approx(1.0)
    assert found.value <= 1.0
    assert secant_lower(graph, np.zeros((1, 1)), steps=5).value <= 1.0
