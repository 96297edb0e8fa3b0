"""The parts that Search is made of."""
