"""Attacks on the difference of two networks: linear pairs with closed forms, noise, and surrogates."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn

from bench.errors import NotApplicable
from bench.functional.attacks.difference import (
    evasive_objective,
    failing_objective,
    noise_around,
    sign_ascent,
)
from bench.functional.attacks.surrogate import distilled

SIDE = 8  # inputs


def linear(rows, bias):
    layer = nn.Linear(SIDE, len(rows)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.asarray(rows)))
        layer.bias.copy_(torch.as_tensor(np.asarray(bias)))
    return layer.eval()


def of_margin(weight, offset):
    """Two classes, whose logits differ by ``weight x + offset``."""
    return linear([weight, np.zeros(SIDE)], [offset, 0.0])


def climb(objective, x, epsilon, *, steps=20, bounds=(-100.0, 100.0)):
    return [
        it.points for it in sign_ascent(objective, x, epsilon=epsilon, step=epsilon / 8, steps=steps, bounds=bounds)
    ]


def joint(reference, variant, points, label=0):
    return [bool(((reference(p).argmax(dim=1) == label) & (variant(p).argmax(dim=1) != label)).item()) for p in points]


@pytest.mark.parametrize("form", ["probability", "logit"])
def test_where_no_input_serves_both_it_succeeds_exactly_when_the_ball_reaches_the_boundary(form):
    """f looks at one half, g at the other: f stays right, and g falls from ``margin / ‖w_g‖₁`` on."""
    random = np.random.default_rng(0)
    half = np.arange(SIDE) < SIDE // 2
    for _ in range(15):
        f, g = random.normal(size=SIDE) * half, random.normal(size=SIDE) * ~half
        x = torch.as_tensor(random.uniform(size=(1, SIDE)))
        offsets = [margin - float(w @ x[0].numpy()) for w, margin in ((f, 0.3), (g, random.uniform(0.1, 1.0)))]
        reference, variant = of_margin(f, offsets[0]), of_margin(g, offsets[1])
        label = torch.tensor([0])
        needed = float((variant(x)[0, 0] - variant(x)[0, 1]).detach()) / np.abs(g).sum()
        for factor, reached in ((1.01, True), (0.99, False)):
            points = climb(evasive_objective(reference, variant, label, form=form), x, factor * needed)
            assert joint(reference, variant, points)[-1] is reached
            assert any(joint(reference, variant, points)) is reached


def test_networks_that_differ_in_one_direction_part_along_it_alone():
    """``w_g = w_f + a e_k``: the logits' difference rises along k alone, and f, blind to k, does not change."""
    random = np.random.default_rng(1)
    for _ in range(15):
        k, a = int(random.integers(SIDE)), random.choice([-1, 1]) * random.uniform(0.5, 2.0)
        f = random.normal(size=SIDE)
        f[k] = 0.0
        x = torch.as_tensor(random.uniform(size=(1, SIDE)))
        offset = 0.2 - float(f @ x[0].numpy())
        reference, variant = of_margin(f, offset), of_margin(f + a * np.eye(SIDE)[k], offset - a * float(x[0, k]) + 0.1)
        needed = 0.3 / abs(a)  # g's margin is .2 + .1
        for factor, reached in ((1.01, True), (0.99, False)):
            objective = evasive_objective(reference, variant, torch.tensor([0]), form="logit")
            points = climb(objective, x, factor * needed)
            moved = (points[-1] - x)[0]
            # rounding leaves coordinates whose gradients should cancel at no more than the same f
            assert abs(moved[k]) == pytest.approx(factor * needed)
            assert any(joint(reference, variant, points)) is reached


def test_nothing_is_found_where_a_linear_program_says_that_there_is_nothing():
    random, found, feasible = np.random.default_rng(2), 0, 0
    for _ in range(40):
        f = random.normal(size=SIDE)
        g = f + 0.4 * random.normal(size=SIDE)
        x = random.uniform(size=SIDE)
        reference, variant = of_margin(f, 0.3 - f @ x), of_margin(g, 0.3 - g @ x)
        epsilon = 0.05 + 0.1 * random.random()
        box = [(max(0.0, v - epsilon), min(1.0, v + epsilon)) for v in x]
        # the least of g's margin while f's is at least 0
        lowest = linprog(g, A_ub=[-f], b_ub=[0.3 - f @ x], bounds=box)
        possible = lowest.fun + 0.3 - g @ x < 0
        for form in ("probability", "logit"):
            objective = evasive_objective(reference, variant, torch.tensor([0]), form=form)
            points = climb(objective, torch.as_tensor(x[None]), epsilon, bounds=(0.0, 1.0))
            success = any(joint(reference, variant, points))
            assert possible or not success
            found += success
        feasible += possible
    assert feasible > 10
    assert found > 10


@pytest.mark.parametrize("form", ["probability", "logit"])
def test_a_network_beside_itself_gives_no_direction(form):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(SIDE, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
        x = torch.rand(20, SIDE)
    labels = network(x).argmax(dim=1)
    for step in sign_ascent(
        evasive_objective(network, network, labels, form=form), x, epsilon=0.3, step=0.05, steps=5, bounds=(0.0, 1.0)
    ):
        assert torch.equal(step.points, x)
        assert step.zero_gradient.all()


def test_where_probabilities_are_1_their_gradients_vanish_and_those_of_logits_do_not():
    reference, variant = (of_margin(1e4 * w, 1e4) for w in (np.eye(SIDE)[0], np.eye(SIDE)[1]))
    x, labels = torch.full((1, SIDE), 0.5, dtype=torch.float64), torch.tensor([0])
    first = {
        form: next(sign_ascent(
            evasive_objective(reference, variant, labels, form=form), x, epsilon=0.1, step=0.1, steps=1, bounds=(0, 1)
        ))
        for form in ("probability", "logit")
    }  # fmt: skip
    assert first["probability"].zero_gradient.all()
    assert not first["logit"].zero_gradient.any()
    assert (first["logit"].points - x)[0, :3].tolist() == pytest.approx([0.1, -0.1, 0.0])


def test_the_weight_of_the_variant_decides_what_gives_way():
    """f and g share one input, f more of it: with c = 1 it rises, with c = 3 it falls."""
    reference, variant = of_margin(2 * np.eye(SIDE)[0], 0.0), of_margin(np.eye(SIDE)[0], 0.0)
    x, labels = torch.full((1, SIDE), 0.5, dtype=torch.float64), torch.tensor([0])
    moved = [
        (climb(evasive_objective(reference, variant, labels, c=c, form="logit"), x, 0.1)[-1] - x)[0, 0].item()
        for c in (1.0, 3.0)
    ]
    assert moved == pytest.approx([0.1, -0.1])


@pytest.mark.parametrize("attack", ["diva", "pgd"])
def test_a_target_is_reached_exactly_when_the_ball_reaches_it(attack):
    random = np.random.default_rng(3)
    for _ in range(10):
        rows = np.concatenate([random.normal(size=(2, SIDE)), np.zeros((1, SIDE))])
        x = torch.as_tensor(random.uniform(size=(1, SIDE)))
        variant = linear(rows, [0.5 - rows[0] @ x[0].numpy(), -rows[1] @ x[0].numpy(), -90.0])
        reference = linear(np.zeros((3, SIDE)), [1.0, 0.0, 0.0])  # says 0 of everything
        label, target = torch.tensor([0]), torch.tensor([1])
        needed = 0.5 / np.abs(rows[0] - rows[1]).sum()
        for factor, reached in ((1.01, 1), (0.99, 0)):
            objective = {
                "diva": evasive_objective(reference, variant, label, targets=target),
                "pgd": failing_objective(variant, label, target),
            }[attack]
            assert variant(climb(objective, x, factor * needed)[-1]).argmax().item() == reached


def test_iterates_lie_in_the_ball_and_in_the_bounds_and_go_no_further_than_a_step():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        one, two = (nn.Sequential(nn.Linear(SIDE, 9), nn.Tanh(), nn.Linear(9, 3)).eval() for _ in range(2))
        x, labels = torch.rand(30, SIDE), torch.arange(30) % 3
    before = x
    points = climb(evasive_objective(one, two, labels), x, 0.4, steps=12, bounds=(0.0, 1.0))
    assert len(points) == 12
    for point in points:
        assert ((point - x).abs() <= 0.4 + 1e-6).all()
        assert ((point - before).abs() <= 0.05 + 1e-6).all()
        assert point.min() >= 0
        assert point.max() <= 1
        before = point
    assert ((points[-1] - x).abs().amax(dim=1) > 0.3).any()


def test_a_gradient_that_is_nan_is_told_and_never_followed():
    class Root(nn.Module):
        def forward(self, x):
            return torch.stack([(x - 0.5).clamp(min=0).sqrt().sum(dim=1), x.sum(dim=1)], dim=1)

    objective = failing_objective(Root(), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(NotApplicable, match="gradients of 3 of 3 samples of a batch are NaN or infinite in step 1"):
        next(sign_ascent(objective, torch.full((3, 2), 0.5), epsilon=0.1, step=0.1, steps=1, bounds=(0.0, 1.0)))


def test_noise_fills_the_box_and_each_sample_has_its_own():
    x = np.zeros((2, 4000), dtype=np.float32)

    def drawn(rows):
        random = [np.random.default_rng(10 + row) for row in rows]
        return list(noise_around(x[rows], random, epsilon=0.25, points=3, bounds=(-1.0, 0.2)))

    both, one = drawn([0, 1]), drawn([1])
    for whole, alone in zip(both, one, strict=True):
        np.testing.assert_array_equal(whole[1:], alone)
        assert whole.min() == pytest.approx(-0.25, abs=1e-3)
        assert whole.max() == np.float32(0.2)
        inside = np.sort(whole[whole < 0.2])
        share = np.linspace(0, 1, inside.size)
        assert np.abs((inside + 0.25) / 0.45 - share).max() < 0.03  # uniform below the bound
    assert not np.array_equal(both[0][0], both[0][1])
    assert not np.array_equal(both[0], both[1])


def test_a_surrogate_learns_another_networks_answers_and_leaves_the_module_alone():
    random = np.random.default_rng(0)
    x = random.normal(size=(320, SIDE)).astype(np.float32)
    teacher = random.normal(size=(SIDE, 3))
    logits = x @ teacher
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Linear(SIDE, 3).requires_grad_(False)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    made = distilled(module, x, log_p, np.random.default_rng(1), epochs=60)
    assert made.after > made.before + 0.3
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert not any(each.requires_grad for each in module.parameters())
    learnt = (made.module(torch.eye(SIDE)) - made.module(torch.zeros(1, SIDE))).detach().numpy()
    centred = teacher - teacher.mean(axis=1, keepdims=True)
    assert np.corrcoef((learnt - learnt.mean(axis=1, keepdims=True)).ravel(), centred.ravel())[0, 1] > 0.9
    again = distilled(module, x, log_p, np.random.default_rng(1), epochs=60)
    assert all(torch.equal(again.module.weights[name], each) for name, each in made.module.weights.items())


def test_what_has_nothing_to_train_has_no_surrogate():
    class Fixed(nn.Module):
        def forward(self, x):
            return x[:, :3]

    class Unused(nn.Linear):
        def forward(self, x):
            return x[:, :3] * 1.0

    x, log_p = np.zeros((4, SIDE), dtype=np.float32), np.log(np.full((4, 3), 1 / 3))
    with pytest.raises(NotApplicable, match="has no parameters"):
        distilled(Fixed(), x, log_p, np.random.default_rng(0))
    with pytest.raises(NotApplicable, match="no gradient reaches"):
        distilled(Unused(SIDE, 3), x, log_p, np.random.default_rng(0))
