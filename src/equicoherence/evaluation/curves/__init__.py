"""How alike an encoder finds an image and its transformed copy, over the size of the transformation."""
