"""Fine-tuning trains on: it repairs, and BatchNorm keeps learning."""

import torch

from bench.compression.finetune import Finetune
from bench.compression.record import run_step
from bench.compression.structured_prune import StructuredPrune
from bench.models.training import accuracy


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
