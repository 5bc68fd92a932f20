"""What frozen features tell of poses: probes, and retrieval of views."""
