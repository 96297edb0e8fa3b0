"""Search: watch SeTAR find a recipe, live."""
