"""The part of a page that one slides through: the path of an image, and images under a turn."""
