"""Networks: what flows through everything, and how torch modules of any making are taken."""
