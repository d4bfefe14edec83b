"""Fine-tuning trains on: it repairs, and BatchNorm keeps learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.distillation import Training, loss_of, train_on
from bench.compression.finetune import Finetune
from bench.compression.restoring import to_bytes
from bench.compression.structured_prune import StructuredPrune
from bench.engine.in_memory import answers
from bench.errors import UserError
from bench.functional.integrated_gradients import integrated_gradients
from bench.functional.similarity import cosine_distance
from bench.metrics.adversarial.pgd import ProjectedGradientDescent
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.training import accuracy, initialise, train
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.outside_networks.records import source_record
from bench.runtimes.opening import open_predictor
from bench.stats.streams import derive_seed
from tests.zoo import TARGETS


def test_it_repairs_a_pruned_network(network, context, digits):
    pruned = run_step(StructuredPrune(ratio=0.5), network, context)
    tuned = run_step(Finetune(epochs=2, learning_rate=0.005), pruned, context)
    before, after = (accuracy(made.module, digits.evaluation, digits.input) for made in (pruned, tuned))
    assert after > before + 0.1
    record = tuned.record["record"]
    assert record["train_accuracy_after"] == accuracy(tuned.module, digits.train, digits.input)
    assert record["train_accuracy_before"] == accuracy(pruned.module, digits.train, digits.input)
    assert not torch.equal(tuned.module.bn1.running_mean, pruned.module.bn1.running_mean)
    assert tuned.module.bn1.num_batches_tracked > pruned.module.bn1.num_batches_tracked


def test_without_a_teacher_it_is_the_ordinary_training(network, context, digits):
    seed = derive_seed("finetune", context.seed)
    expected = train(network.module, digits.train, digits.input, Recipe(epochs=1, learning_rate=1e-3), seed)
    made = run_step(Finetune(epochs=1), network, context)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(made.module.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def divergence(reference, made, digits):
    x = torch.from_numpy(digits.evaluation.x)
    with torch.no_grad():
        p, q = (each.module(x).double().log_softmax(1) for each in (reference, made))
    return float((p.exp() * (p - q)).sum(1).mean())


def test_a_distilled_network_is_nearer_to_its_teacher(network, context, digits):
    pruned = run_step(StructuredPrune(ratio=0.5), network, context)
    context = replace(context, reference=network)
    plain = run_step(Finetune(epochs=3, learning_rate=0.01), pruned, context)
    taught = run_step(Finetune(epochs=3, learning_rate=0.01, distillation=1.0, temperature=2.0), pruned, context)
    assert divergence(network, taught, digits) < 0.8 * divergence(network, plain, digits)


def test_with_full_weight_no_label_is_read(network, context, digits):
    context = replace(context, reference=network)
    shuffled = replace(context, train=replace(context.train, y=np.roll(context.train.y, 1)))
    unlabelled = replace(context, train=replace(context.train, y=None))
    step = Finetune(epochs=1, distillation=1.0)
    made = [to_bytes(run_step(step, network, each)) for each in (context, shuffled, unlabelled)]
    assert made[0] == made[1] == made[2]
    half = Finetune(epochs=1, distillation=0.5)
    assert to_bytes(run_step(half, network, context)) != to_bytes(run_step(half, network, shuffled))
    with pytest.raises(UserError, match=r"needs labelled samples.*distillation = 1 needs no labels"):
        run_step(half, network, unlabelled)


def test_there_must_be_a_reference_to_learn_from(network, context, digits):
    for reference in (None, OnnxNetwork(b"", digits.input)):
        with pytest.raises(UserError, match="no torch network to learn from"):
            run_step(Finetune(distillation=0.5), network, replace(context, reference=reference))


def test_the_loss_by_hand():
    declared = InputSpec((1, 1, 1), ("a", "b"))
    student, teacher = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    y = torch.tensor([1])
    training = Training(1, 2, 0.1, 0.0, "constant", weight=0.25, temperature=2.0)
    first = 1 / (1 + 3**0.5)  # the student's probability of the first class at temperature 2
    divergence = 0.5 * np.log(0.5 / first) + 0.5 * np.log(0.5 / (1 - first))
    expected = 0.75 * -np.log(0.75) + 0.25 * 4 * divergence
    assert float(loss_of(student, y, teacher, declared, training)) == pytest.approx(expected, rel=1e-5)
    given = replace(declared, output="probabilities")
    found = loss_of(student.softmax(1), y, teacher.softmax(1), given, training)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_schedules(network, digits, schedule):
    """Each repeats itself, and none is another."""
    samples = digits.train.take(slice(0, 200))
    training = Training(2, 20, 1e-3, 0.0, schedule)
    made = [train_on(network.module, None, samples, digits.input, training, 0, lambda _: None) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(each.parameters() for each in made), strict=True))
    others = {"one-cycle", "cosine", "constant"} - {schedule}
    for other in others:
        found = train_on(
            network.module, None, samples, digits.input, replace(training, schedule=other), 0, lambda _: None
        )
        assert not torch.equal(found.classifier.weight, made[0].classifier.weight)


def test_several_seeds_are_several_networks(network, context):
    made = [to_bytes(run_step(Finetune(epochs=1, seed=seed), network, context)) for seed in (0, 1, 2, 2)]
    assert len(set(made)) == 3


def test_a_loss_that_explodes_is_said(network, context):
    with pytest.raises(UserError, match=r"^learning_rate: the loss is not finite in epoch 1;"):
        run_step(Finetune(epochs=1, learning_rate=1e30, schedule="constant"), network, context)


@pytest.mark.parametrize("step", [Finetune(epochs=1), StructuredPrune(ratio=0.3, rounds=2, finetune_epochs=1)])
def test_auxiliary_answers_of_training_mode_are_refused_in_words(network, context, step):
    class Auxiliary(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network.module

        def forward(self, x):
            scores = self.network(x)
            return (scores, scores * 0.3) if self.training else scores

    with pytest.raises(UserError, match=r"in training mode the network answers a tuple.*aux_logits = False"):
        run_step(step, replace(network, module=Auxiliary().eval()), context)


def mismatch(reference, made, digits):
    """Mean 1 - cos of integrated gradients on images that no training saw."""
    x = torch.from_numpy(digits.evaluation.x[:100])
    with torch.no_grad():
        target = reference.module(x).argmax(dim=1)
    maps = [integrated_gradients(each.module, x, torch.zeros(1), target, 16).maps.numpy() for each in (reference, made)]
    return cosine_distance(*maps).mean()


def test_matching_attributions_brings_them_nearer(network, context, digits):
    pruned = run_step(StructuredPrune(ratio=0.5), network, context)
    context = replace(context, reference=network)
    plain = run_step(Finetune(epochs=4, learning_rate=0.01), pruned, context)
    matched = run_step(Finetune(epochs=4, learning_rate=0.01, attribution=3.0), pruned, context)
    assert mismatch(network, matched, digits) < 0.85 * mismatch(network, plain, digits)
    again = run_step(Finetune(epochs=4, learning_rate=0.01, attribution=3.0), pruned, context)
    assert to_bytes(again) == to_bytes(matched)
    assert matched.module.bn1.num_batches_tracked == plain.module.bn1.num_batches_tracked  # maps are taken beside it


def test_attributions_need_a_reference_and_change_no_key_where_they_are_left_out(network, context):
    with pytest.raises(UserError, match=r"finetune\.attribution.*no torch network to learn from"):
        run_step(Finetune(attribution=1.0), network, replace(context, reference=None))
    assert "attribution" not in Finetune().canonical()["parameters"]
    assert Finetune(attribution=1.0).canonical()["parameters"]["attribution"] == 1.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_robust_network_stays_robust_where_it_is_tuned_on_attacked_images(digits):
    """Pruned and tuned on, with and without attacks; judged by one more strong attack."""
    model, epsilon = Convnet(widths=(12, 24), strides=(2, 2)), 0.15
    recipe = Recipe(epochs=12, adversarial_epsilon=epsilon)
    module = train(initialise(model, digits.input, 0), digits.train, digits.input, recipe, 0)
    robust = TorchNetwork(module, digits.input, source_record(model, digits.input))
    context = StepContext(digits.train, digits.calibration, recipe, 0, reference=robust)
    pruned = run_step(steps.get("structured-prune")(ratio=0.25), robust, context)
    wrong = {}
    for name, given in {"plain": {}, "attacked": {"adversarial_epsilon": epsilon}}.items():
        tuned = run_step(steps.get("finetune")(epochs=6, **given), pruned, context)
        attack, predictor = ProjectedGradientDescent(epsilon=epsilon, steps=10), open_predictor(tuned, TARGETS["torch"])
        arrays = answers(attack, predictor, digits.evaluation)
        wrong[name] = float(1 - arrays["robust_correct"].mean())
    assert wrong["attacked"] < wrong["plain"] - 0.1


def test_attacked_images_change_no_key_where_they_are_left_out_and_need_a_distance():
    plain = steps.get("finetune")()
    assert "adversarial_epsilon" not in plain.canonical()["parameters"]
    assert steps.get("finetune")(adversarial_epsilon=0.1).canonical()["parameters"]["adversarial_epsilon"] == 0.1
    with pytest.raises(ValueError, match="adversarial_epsilon"):
        steps.get("finetune")(adversarial_epsilon=-0.1)
