"""The published list of operators: ``python -m bench.onnx_import.listing`` prints it as Markdown."""

from __future__ import annotations

from onnx import defs

from bench.onnx_import.table import supported

NOTES = {
    ("", "Attention"): "scores at every stage; past keys and values; sliding windows",
    ("", "BatchNormalization"): "inference: stored statistics; training mode is refused",
    ("", "BitShift"): "numbers up to 63 bits",
    ("", "Cast"): "element types above; to half precision and back with its rounding",
    ("", "Constant"): "`value`, `value_float(s)`, `value_int(s)`; no strings, no sparse tensors",
    ("", "Conv"): "one to three spatial axes",
    ("", "ConvTranspose"): "one to three spatial axes",
    ("", "Dropout"): "inference: the input and a mask of ones; training mode is refused",
    ("", "Floor"): "gradient by the mode of gradients",
    ("", "Ceil"): "gradient by the mode of gradients",
    ("", "Round"): "gradient by the mode of gradients",
    ("", "If"): "the condition must not depend on the values of the input; a constant one is decided at import",
    ("", "Loop"): "neither rounds nor condition may depend on the values of the input; at most 10,000 rounds",
    ("", "MeanVarianceNormalization"): "over the batch too where `axes` holds 0, as by default",
    ("", "NonZero"): "the shape of its result depends on values",
    ("", "Resize"): "nearest, linear, cubic; every coordinate transformation; antialias",
    ("", "TopK"): "sorted, of equals the first",
}
"""What a person should know of an operator before relying on it."""


def tables() -> str:
    """One Markdown table a domain, sorted by name."""
    rows: dict[str, list[str]] = {}
    known: dict[tuple[str, str], int] = {}
    for schema in defs.get_all_schemas_with_history():
        key = schema.domain, schema.name
        known[key] = min(schema.since_version, known.get(key, schema.since_version))
    for domain, name, since in supported():
        opset = max(since, known.get((domain, name), 1))
        rows.setdefault(domain, []).append(f"| {name} | {opset} | {NOTES.get((domain, name), '')} |")
    parts = []
    for domain, lines in rows.items():
        title = f"## {domain or 'ai.onnx'} ({len(lines)} operators)"
        parts.append("\n".join([title, "", "| operator | from opset | notes |", "|---|---|---|", *lines]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
