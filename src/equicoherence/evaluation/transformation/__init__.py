"""What frozen features tell of a transformation."""
