"""Benchmark: ID against OOD images under any weights and scores."""
