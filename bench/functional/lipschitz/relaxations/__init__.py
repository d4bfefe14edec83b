"""What can stand at every node of a network while its input lies in a region: intervals, and lines through it.

Every interval holds in exact arithmetic on the weights as they are: what float64 may have lost is added outward.

- A sum of k products is off by at most ``γ_k Σ |a b|`` (Higham 2002, section 3.5); ``Σ |a b|`` of a linear node is the
  node with magnitudes in the place of its weights (`magnitudes`). Its constant ``γ`` is twice the textbook one.
- Going backwards, a row of coefficients A over a node's value z is replaced by the computed Â over the values before
  it. That changes ``A z`` by at most ``γ |A| |W| |z'|``, and what stands before the node, ``|z'|``, has its own proven
  interval: so an error is one number a row and a node, and does not grow with depth.
- Functions of the library (exp, tanh, erf) are allowed an error of 2⁻⁴⁶ relative to argument and value.
"""
