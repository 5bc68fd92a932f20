"""How alike an encoder finds an image and its transformed self, over the size of the transformation."""
