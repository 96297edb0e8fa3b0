"""Fine-tuning: what moves, what is minimised, and the adapter that comes of it."""
