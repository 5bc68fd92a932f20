"""Weights of a release: what its manifest says, and how they are fetched and verified. Nothing here needs torch."""
