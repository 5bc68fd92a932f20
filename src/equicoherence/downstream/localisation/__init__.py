"""The box of the one object of an image."""
