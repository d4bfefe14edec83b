"""What sessions on the processor at hand answer to the kept cases, as one line of JSON; needs numpy and onnxruntime.

Run under an emulator as ``python kept_answers.py expectations.npz KIND``: ``wrong`` names the cases in which a session
of the file does not give the outputs of that kind, or one of the rewritten file not the exact ones.
"""

import json
import sys

import numpy as np
import onnxruntime


def answer(model, x, level):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = level
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def main(path, kind):
    levels = onnxruntime.GraphOptimizationLevel
    cases, wrong, telling = {}, [], 0
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            name, _, what = key.rpartition("/")
            cases.setdefault(name, {})[what] = file[key]
    for name, kept in cases.items():
        telling += not np.array_equal(kept["exact"], kept["saturating"])
        for what, expected in (("model", kept[kind]), ("rewritten", kept["exact"])):
            found = answer(kept[what].tobytes(), kept["x"], levels.ORT_ENABLE_EXTENDED)
            if found.dtype != expected.dtype or not np.array_equal(found, expected):
                wrong.append(f"{name} ({what})")
    print(json.dumps({"cases": len(cases), "telling": telling, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
