"""The parts that Benchmark is made of."""
