"""Spectrum: singular values of every matrix, and ratios set by hand."""
