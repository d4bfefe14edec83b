"""Questions to one network, or to a pair, on one target: asked once, shared by every metric."""
