"""Classification of four rotations of an image from one frozen feature."""
