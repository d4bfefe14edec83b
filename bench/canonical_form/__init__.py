"""A network as a graph of affine maps and nonlinearities with known slopes, in float64: what bounds are computed on."""
