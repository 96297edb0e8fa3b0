"""The furniture of every tab. Knows no tab."""
