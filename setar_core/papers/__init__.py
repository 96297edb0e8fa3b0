"""The tables of the papers: which rows they have, the commands that make each, and the report."""
