"""Object poses from frozen features: probes, and retrieval of views."""
