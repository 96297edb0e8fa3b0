"""Detectors in the form of other libraries, each of which is imported only here."""
