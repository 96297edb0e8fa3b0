"""The parts that Spectrum is made of."""
