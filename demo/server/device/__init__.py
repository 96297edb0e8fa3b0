"""Where networks run: in turns on this machine."""
