"""The singular values of a backbone and what dropping the smallest does to its function."""
