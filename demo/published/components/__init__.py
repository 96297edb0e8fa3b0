"""The parts that Published is made of."""
