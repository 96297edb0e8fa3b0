"""How a scene of the emoji world is drawn: sprites, backgrounds and what is no object at all."""
