"""The greedy search for a recipe: a plan, an objective, candidates, a trace."""
