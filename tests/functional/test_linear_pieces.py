"""Every kink of a segment: by hand, against fine quadrature, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.errors import NotApplicable
from bench.functional.integrated_gradients import integrated_gradients
from bench.functional.linear_pieces import difference_along_segments

ZERO = torch.zeros(1).double()


class Of(nn.Module):
    """A function of x (n, d) as two logits, whose centred first one is the function itself."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        value = self.function(x)
        return torch.stack([value, -value], dim=1)


NOTHING = Of(lambda x: (0.0 * x).sum(dim=1))
FIRST = torch.tensor([0])


def found(function, x, baseline=ZERO):
    shown = torch.tensor([x]).double()
    return difference_along_segments(Of(function), NOTHING, shown, baseline, FIRST)


def test_a_rectified_sum_by_hand() -> None:
    """relu(w x - b) from 0: w_i x_i (1 - b / (w x))."""
    w, b = torch.tensor([2.0, -1.0, 3.0]).double(), 1.5
    x = [1.0, 2.0, 1.5]
    shown = found(lambda x: torch.relu(x @ w - b), x)
    expected = w * torch.tensor(x).double() * (1 - b / 4.5)
    torch.testing.assert_close(shown.attribution[0], expected, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(shown.steepest[0], w.norm())
    assert shown.pieces.tolist() == [2]


def test_the_smaller_of_two_by_hand() -> None:
    """min(x1, x2) from 0 to (a, b) with a < b: (a, 0)."""
    shown = found(lambda x: x[:, 1] - torch.relu(x[:, 1] - x[:, 0]), [0.5, 2.0])
    torch.testing.assert_close(shown.attribution[0], torch.tensor([0.5, 0.0]).double(), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "integral", "steepest", "pieces"),
    [
        (lambda x: x.abs().sum(dim=1), 2.0, 1.0, 2),
        (lambda x: nn.functional.hardtanh(x).sum(dim=1), 2.0, 1.0, 2),
        (lambda x: x.clamp(0.0, 2.0).sum(dim=1), 2.0, 1.0, 3),
        (lambda x: nn.functional.leaky_relu(x, 0.5).sum(dim=1), 3.5, 1.0, 2),
        (lambda x: nn.functional.threshold(x, 1.0, 1.0).sum(dim=1), 2.0, 1.0, 2),
    ],
)
def test_kinks_of_other_kinds_from_minus_one_to_three(function, integral, steepest, pieces) -> None:
    shown = found(function, [3.0], torch.tensor([[-1.0]]).double())
    assert shown.attribution.item() == pytest.approx(integral)
    assert shown.steepest.item() == steepest
    assert shown.pieces.item() == pieces


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    layers += [nn.Conv2d(4, 6, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)]
    return nn.Sequential(*layers).double().eval()


@pytest.fixture
def pair():
    with torch.random.fork_rng():
        return network(0), network(1), 2 * torch.rand(6, 1, 8, 8).double()


def test_it_is_what_ever_finer_quadrature_tends_to(pair) -> None:
    f, g, x = pair
    target = torch.arange(6) % 5
    exact = difference_along_segments(f, g, x, ZERO, target)
    errors = []
    for steps in (30, 400):
        first, second = (integrated_gradients(module, x, ZERO, target, steps).maps for module in (f, g))
        errors.append(float((first - second - exact.attribution).abs().max() / exact.attribution.abs().max()))
    assert errors[1] < 3e-3
    assert errors[1] < errors[0] / 5
    torch.testing.assert_close(exact.attribution.flatten(1).sum(dim=1), exact.change, rtol=1e-7, atol=1e-9)


def test_both_bounds_hold_on_every_sample_and_say_something(pair) -> None:
    f, g, x = pair
    shown = difference_along_segments(f, g, x, ZERO, torch.arange(6) % 5)
    flat = shown.attribution.flatten(1)
    upper = x.abs().flatten(1).amax(dim=1) * shown.steepest
    assert (shown.change.abs() <= flat.abs().sum(dim=1)).all()
    assert (flat.norm(dim=1) <= upper).all()
    assert (flat.norm(dim=1) > 0.1 * upper).all()


def test_no_slope_on_the_way_is_steeper(pair) -> None:
    f, g, x = pair
    target = torch.arange(6) % 5
    shown = difference_along_segments(f, g, x, ZERO, target)
    found = torch.zeros(6).double()
    for place in torch.rand(200).double():
        point = (place * x).requires_grad_()
        logits = f(point) - g(point)
        h = logits.gather(1, target[:, None])[:, 0] - logits.mean(dim=1)
        found = torch.maximum(found, torch.autograd.grad(h.sum(), point)[0].flatten(1).norm(dim=1))
    assert (found <= shown.steepest * (1 + 1e-9)).all()
    assert (found > 0.8 * shown.steepest).all()


def test_a_network_has_not_changed_from_itself(pair) -> None:
    f, _, x = pair
    shown = difference_along_segments(f, f, x, ZERO, torch.arange(6) % 5)
    assert not shown.attribution.any()
    assert not shown.steepest.any()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: nn.functional.gelu(x).sum(dim=1), "it computes 'gelu'"),
        (lambda x: torch.round(x).sum(dim=1), "it computes 'round'"),
        (lambda x: (x * x).sum(dim=1), "'mul' multiplies two figures of the input"),
        (lambda x: (1 / (x + 2)).sum(dim=1), "it computes 'reciprocal'"),
        (lambda x: (x @ x.T).sum(dim=1), "'mm' multiplies two figures of the input"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused(function, why) -> None:
    with pytest.raises(NotApplicable, match=why):
        found(function, [1.0, 2.0])


def test_constants_may_be_computed_in_any_way() -> None:
    """As weights that are rounded at every pass."""
    weight = torch.tensor([1.26, -0.74]).double()
    shown = found(lambda x: torch.relu(x @ (torch.round(4 * weight) / 4).exp().log2()), [1.0, 2.0])
    assert shown.pieces.item() == 1


def test_too_many_pieces_are_said(pair) -> None:
    f, g, x = pair
    with pytest.raises(NotApplicable, match="more than 5 linear pieces"):
        difference_along_segments(f, g, x, ZERO, torch.arange(6) % 5, most=5)
