"""Which way up an image is: four turns, told from one frozen feature."""
