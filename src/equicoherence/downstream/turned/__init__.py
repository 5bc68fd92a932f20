"""What frozen features tell of a turn that a camera made."""
