"""What sessions with either kind of sums answer, kept in ``expectations.npz``: models, inputs, outputs of both kinds.

``python -m tests.integer_sums.expectations`` writes it anew, on a processor whose sums saturate: the saturating
outputs are a session's own, the exact ones sums by hand. Inputs and weights follow from formulas, without a generator
of random numbers. Whoever reads the file needs numpy and ONNX Runtime alone.
"""

from pathlib import Path

import numpy as np

from bench.integer_sums.unsigned_weights import with_exact_sums
from bench.runtimes.integer_sums import native_sums
from tests.integer_sums.cases import CONVOLUTIONS, PRODUCTS, Geometry, convolution, product, ran
from tests.integer_sums.networks import NETWORKS, codes

FILE = Path(__file__).with_name("expectations.npz")
SCALES = (2.0**-4, 2.0**-7)  # powers of two: no product of scales rounds, on any processor
GEOMETRIES = {
    "padded": Geometry(3, 4, (3, 3), pads=(1, 1, 1, 1), size=(5, 4)),
    "strided and dilated": Geometry(4, 3, (3, 2), strides=(2, 1), dilations=(1, 2), pads=(1, 2, 0, 1), size=(6, 6)),
    "in two groups": Geometry(4, 6, (3, 3), group=2, pads=(1, 1, 1, 1), size=(4, 4)),
    "depthwise": Geometry(4, 4, (3, 3), group=4, pads=(1, 1, 1, 1), size=(4, 5)),
    "depthwise, multiplier 2": Geometry(3, 6, (3, 3), group=3, pads=(1, 1, 1, 1), size=(4, 4)),
}


def cases():
    """By name."""
    made = {}
    for operator in PRODUCTS:
        a, b = codes((3, 130), "uint8", 90), codes((130, 4), "int8", stride=37)
        a[0, :2] = 0, 255  # the range of a dynamic quantiser is then that of all codes
        made[operator] = product(operator, a, b, a_zero=101, b_zero=5, scales=SCALES, spread=1)
    for size in (7, 1001, 4096):
        a, b = codes((2, size), "uint8", 90), codes((size, 2), "int8", stride=37)
        made[f"MatMulInteger of {size}"] = product("MatMulInteger", a, b, a_zero=101)
    for operator in CONVOLUTIONS:
        signed = operator == "ConvInteger"
        for name, geometry in GEOMETRIES.items():
            x = codes((2, *geometry.image), "int8" if signed else "uint8", None if signed else 60)
            w = codes(geometry.weights, "uint8" if signed else "int8", stride=37)
            zeros = {"x_zero": -30 if signed else 200, "w_zero": 3}
            made[f"{operator}, {name}"] = convolution(
                operator, x, w, **zeros, geometry=geometry, scales=SCALES, spread=1
            )
    for name, network in NETWORKS.items():
        case = network()
        if name == "dynamic":  # one image at a time
            case = case._replace(x=case.x[:1], expected={kind: each[:1] for kind, each in case.expected.items()})
        made[name] = case
    return made


def stored():
    """What the file holds: by case the model, the same with exact sums, the input, and the outputs of both kinds."""
    with np.load(FILE, allow_pickle=False) as file:
        found = {}
        for key in file.files:
            name, _, what = key.rpartition("/")
            found.setdefault(name, {})[what] = file[key].tobytes() if what in ("model", "rewritten") else file[key]
        return found


def main():
    if native_sums() != "saturating":
        raise SystemExit("this processor's sums are exact: what saturating ones give, it cannot tell")
    arrays = {}
    for name, case in cases().items():
        given = case.model.SerializeToString()
        arrays[f"{name}/model"] = np.frombuffer(given, np.uint8)
        arrays[f"{name}/rewritten"] = np.frombuffer(with_exact_sums(given), np.uint8)
        arrays[f"{name}/x"] = case.x
        arrays[f"{name}/exact"] = case.expected["exact"]
        arrays[f"{name}/saturating"] = ran(given, {"x": case.x}, "extended")
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(arrays) // 5} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
