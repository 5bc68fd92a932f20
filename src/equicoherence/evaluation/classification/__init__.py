"""What frozen features tell of classes."""
