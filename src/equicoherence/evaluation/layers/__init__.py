"""Scores of each layer of an encoder: transformations and classes."""

OUTPUT, BEST = "output", "best layer"
"""The representations of its main scores."""
