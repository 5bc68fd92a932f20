"""Scores of each layer of an encoder: transformations and classes."""
