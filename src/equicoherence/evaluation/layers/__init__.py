"""What each layer of an encoder tells of a transformation and of classes."""
