"""Where networks run: in turns on this machine, or in slices on a card that is lent."""
