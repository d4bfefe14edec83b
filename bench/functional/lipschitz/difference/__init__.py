"""How far two networks can be apart: bounds of ``sup ‖f(x) − g(x)‖`` over a region, from above and from below."""
