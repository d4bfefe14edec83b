"""A pair of small networks on many images, in a process of its own: prints its peak memory and CPU seconds as JSON.

``python pair_process.py FOLDER write N`` makes the files, ``... rest`` reads the data and opens the networks, ``...
forward`` also runs both once over all images, ``... diff [--draws N] METRIC...`` is ``crbench diff`` of the pair.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from bench.probes.memory_process import own_peak

WIDTHS = (8, 16, 32)  # with one channel and ten classes a file of 26 kB
SHAPE = (1, 28, 28)


def write(folder, count):
    """Two networks that differ by noise, and images with the classes that the first one sees, a tenth of them wrong."""
    import torch

    from bench.models.base import models
    from bench.models.training import initialise
    from bench.networks.network import InputSpec

    declared = InputSpec(shape=SHAPE, classes=tuple(map(str, range(10))), bounds=(0.0, 1.0))
    first = initialise(models.get("convnet")(widths=WIDTHS), declared, 0)
    second = initialise(models.get("convnet")(widths=WIDTHS), declared, 0)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in second.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=noise)
    for name, module in (("reference", first), ("variant", second)):
        torch.onnx.export(
            module, torch.zeros(1, *SHAPE), folder / f"{name}.onnx", dynamo=False,
            dynamic_axes={"x": {0: "n"}, "z": {0: "n"}}, input_names=["x"], output_names=["z"],
        )  # fmt: skip
    random = np.random.default_rng(0)
    x = random.random((count, *SHAPE), dtype=np.float32)
    with torch.no_grad():
        y = np.concatenate(
            [first(torch.from_numpy(part)).argmax(1) for part in np.array_split(x, max(1, count // 500))]
        )
    wrong = random.random(count) < 0.1
    y[wrong] = random.integers(10, size=int(wrong.sum()))
    np.savez(folder / "x.npz", x=x, y=y.astype(np.int64))


def rest(folder, *, forward=False):
    """What reading the data and opening the networks takes; with a forward pass of both on all images."""
    import torch

    from bench.data.npz import read_npz
    from bench.networks.network import InputSpec
    from bench.outside_networks.loading import load_outside
    from bench.probes.logits import log_probabilities
    from bench.runtimes.base import Target
    from bench.runtimes.opening import open_predictor

    samples = read_npz(folder / "x.npz")
    declared = InputSpec(shape=SHAPE, classes=tuple(map(str, range(10))), bounds=(0.0, 1.0))
    torch.set_num_threads(1)
    target = Target(name="onnxruntime", runtime="onnxruntime")
    found = [
        open_predictor(load_outside(declared, onnx=folder / f"{name}.onnx"), target)
        for name in ("reference", "variant")
    ]
    if forward:
        started = time.process_time()
        for predictor in found:
            log_probabilities(predictor, samples.x)
        return time.process_time() - started
    return 0.0


def diff(folder, *words):
    """The command, as it is typed; ``--draws`` takes fewer resamples than it would."""
    from bench.cli import run_cli
    from bench.engine import derive

    if words[:1] == ("--draws",):
        derive.Derivation.__init__.__defaults__ = (int(words[1]), *derive.Derivation.__init__.__defaults__[1:])
        words = words[2:]
    os.chdir(folder)
    metrics = [part for name in words for part in ("--metric", name)]
    code = run_cli(["diff", "reference.onnx", "variant.onnx", "--data", "x.npz", "--quiet", *metrics])
    if code:
        raise SystemExit(f"crbench diff answered {code}")


def main(folder, what, *words):
    """Do it, and say what it took."""
    forward = 0.0
    if what == "write":
        write(Path(folder), int(words[0]))
    elif what == "diff":
        diff(Path(folder), *words)
    else:
        forward = rest(Path(folder), forward=what == "forward")
    print(json.dumps({"peak": own_peak(), "cpu": time.process_time(), "forward": forward}))


if __name__ == "__main__":
    main(*sys.argv[1:])
