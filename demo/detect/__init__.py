"""Detect: pictures in, verdicts out, with the original and with the SeTAR weights."""
