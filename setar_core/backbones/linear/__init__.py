"""Linear layers: with what follows them in one operation, and in two thin ones."""
