"""How the emoji world was made: its scenes, its benchmark and the small CLIP trained on it."""
