"""Auto-PGD on networks whose distances are known, and beside plain projected gradient descent."""

import pytest
import torch
from torch import nn

from bench.functional.attacks.apgd import apgd, checkpoints, log_odds_against, targeted_dlr
from bench.functional.attacks.pgd import pgd


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def linear(classes, seed=0, scale=1.0):
    layer = nn.Linear(9, classes)
    with torch.no_grad():
        layer.weight.copy_(scale * (draw(classes, 9, seed=seed) - 0.5))
        layer.bias.copy_(scale * 0.1 * (draw(classes, seed=seed + 1) - 0.5))
    return nn.Sequential(nn.Flatten(), layer).eval()


def distances(module, x, norm):
    """The exact distance to each other class, and the class: |margin| over the dual norm of the difference of rows."""
    logits = module(x).detach()
    labels, weight = logits.argmax(dim=1), module[1].weight.detach()
    margins = logits.gather(1, labels[:, None]) - logits
    rows = weight[labels][:, None] - weight
    dual = rows.abs().sum(dim=2) if norm == "linf" else rows.norm(dim=2)
    away = torch.where(dual > 0, margins / dual.clamp(min=1e-12), torch.inf)
    return away.min(dim=1).values, away, labels


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("confidence", [1.0, 1e4])
def test_targets_reach_the_exact_distance_of_many_classes(norm, confidence):
    """Every target in turn: success just above the closed form, also where a softmax saturates, none just below."""
    module, x = linear(5, scale=confidence), draw(8, 1, 3, 3, seed=7)
    nearest, _, labels = distances(module, x, norm)
    for factor, fooled in ((1.01, True), (0.99, False)):
        for i in range(len(x)):
            broken = False
            for target in range(5):
                if target != labels[i]:
                    loss = targeted_dlr(labels[i : i + 1], torch.tensor([target]))
                    found = apgd(
                        module, x[i : i + 1], labels[i : i + 1], torch.zeros(1, 1, 3, 3), loss,
                        epsilon=factor * float(nearest[i]), steps=30, norm=norm, bounds=(-100.0, 100.0),
                    )  # fmt: skip
                    broken |= bool(found.margin > 0)
                    assert (module(found.strongest).argmax(dim=1) != labels[i]).item() == bool(found.margin > 0)
            assert broken is fooled, (i, factor)


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4)).eval()


def attacked(module, x, labels, **options):
    starts = 2 * draw(*x.shape, seed=3) - 1
    if options.get("norm") == "l2":
        starts = starts / starts.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    loss = options.pop("loss", None) or log_odds_against(labels)
    return apgd(module, x, labels, starts, loss, **{"epsilon": 0.1, "steps": 25, **options})


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_it_finds_lies_in_the_ball_and_in_the_bounds(network, norm):
    x, labels = draw(32, 1, 4, 4), torch.arange(32) % 4
    found = attacked(network, x, labels, norm=norm, epsilon=0.3)
    change = (found.strongest - x).flatten(1)
    size = change.abs().amax(dim=1) if norm == "linf" else change.norm(dim=1)
    assert (size <= 0.3 + 1e-6).all()
    assert (size > 0.2).any()
    assert found.strongest.min() >= 0
    assert found.strongest.max() <= 1


def test_scaled_logits_change_no_verdict_of_the_ratio(network):
    x = draw(64, 1, 4, 4)
    logits = network(x).detach()
    labels, targets = logits.argmax(dim=1), logits.argsort(dim=1)[:, -2]
    verdicts = []
    for scale in (1.0, 0.01, 100.0):
        scaled = nn.Sequential(network, Times(scale))
        verdicts.append(attacked(scaled, x, labels, loss=targeted_dlr(labels, targets), epsilon=0.05).margin > 0)
    assert 0 < int(verdicts[0].sum()) < 64
    assert torch.equal(verdicts[0], verdicts[1])
    assert torch.equal(verdicts[0], verdicts[2])


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_does_not_depend_on_its_batch(network, norm):
    network, x = network.double(), draw(8, 1, 4, 4).double()
    labels, starts = torch.arange(8) % 4, torch.zeros(8, 1, 4, 4).double()
    whole = apgd(network, x, labels, starts, log_odds_against(labels), epsilon=0.1, steps=25, norm=norm)
    for i in (0, 5):
        one = slice(i, i + 1)
        alone = apgd(
            network, x[one], labels[one], starts[one], log_odds_against(labels[one]), epsilon=0.1, steps=25, norm=norm
        )
        torch.testing.assert_close(alone.strongest, whole.strongest[one])


def test_at_equal_steps_it_finds_no_less_than_plain_descent(network):
    x = draw(400, 1, 4, 4, seed=5)
    labels = network(x).argmax(dim=1)
    starts = 2 * draw(*x.shape, seed=3) - 1
    ours = apgd(network, x, labels, starts, log_odds_against(labels), epsilon=0.12, steps=20)
    plain = pgd(
        network, x, labels, starts, epsilon=0.12, steps=20, relative_stepsize=0.125, bounds=(0.0, 1.0)
    ).strongest
    fell, fell_plainly = int((ours.margin > 0).sum()), int((network(plain).argmax(dim=1) != labels).sum())
    assert 0 < fell_plainly < 400
    assert fell >= fell_plainly - 2


def test_no_gradient_is_said_not_taken_for_strength():
    dead = nn.Sequential(nn.Flatten(), Times(0.0), nn.Linear(9, 4)).eval()
    x, labels = draw(4, 1, 3, 3), torch.zeros(4, dtype=torch.int64)
    found = apgd(dead, x, labels, torch.zeros_like(x), log_odds_against(labels), epsilon=0.1, steps=5)
    assert found.zero_gradient.all()


def test_checkpoints_come_closer_and_closer():
    for steps in (1, 5, 20, 100):
        places = checkpoints(steps)
        assert places == sorted(set(places))
        assert all(0 < place < steps for place in places)


class Peak(nn.Module):
    """The wrong class wins only within .004 of one place: a step that never shortens passes over it."""

    def forward(self, x):
        away = (x.flatten(1) - 0.63).abs().amax(dim=1, keepdim=True)
        return torch.cat([torch.zeros_like(away), 0.004 - away], dim=1)


def test_steps_become_short_enough_for_a_narrow_peak():
    x, labels = torch.full((3, 1, 1, 1), 0.5), torch.zeros(3, dtype=torch.int64)
    starts = torch.tensor([-0.9, 0.1, 0.8]).view(3, 1, 1, 1)
    found = apgd(Peak(), x, labels, starts, log_odds_against(labels), epsilon=0.3, steps=80)
    assert (found.margin > 0).all()
    assert (found.strongest - 0.63).abs().max() < 0.004
