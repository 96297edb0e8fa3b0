"""Published: the authors' own numbers, explored without a weight."""
