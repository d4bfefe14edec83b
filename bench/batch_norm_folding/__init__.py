"""BatchNorm folding: which BatchNorms can go without changing the function, and the weights that take them over."""
