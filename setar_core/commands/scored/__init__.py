"""The table that `scores` makes: how it grows, and the forms that it ends in."""
