"""Which patch tokens of two images show the same point."""
