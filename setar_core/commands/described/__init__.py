"""What describes a detector on the command line: what its scores are given, or a saved one."""
