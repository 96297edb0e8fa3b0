"""The face of SeTAR Explorer, over the core; `build.py` lays it out. Nothing is computed here."""
