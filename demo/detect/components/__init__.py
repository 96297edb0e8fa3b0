"""The parts that Detect is made of."""
