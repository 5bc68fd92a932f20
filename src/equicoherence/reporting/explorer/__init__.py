"""The interactive part of a page: a slider along the path of an image, and a slider that rotates images."""
