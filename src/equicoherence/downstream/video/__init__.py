"""Masks carried along a video."""
