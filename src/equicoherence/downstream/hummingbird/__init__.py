"""Segmentation by the nearest of remembered patches."""
