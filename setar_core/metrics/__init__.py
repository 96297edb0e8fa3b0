"""How well scores separate: separation, curves, the bootstrap, and what bins still tell."""
