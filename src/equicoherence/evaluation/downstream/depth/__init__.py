"""Depth of each pixel."""
