"""ID images against OOD sets under any number of recipes and scores."""
