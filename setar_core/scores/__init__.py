"""How sure is the model that an image is one of the labels: every score, by what it looks at."""
