"""Networks that round their activations: no finite constant, but one at a scale, and one of their surrogate."""
