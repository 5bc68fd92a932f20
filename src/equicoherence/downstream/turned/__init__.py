"""Prediction of a camera's rotation from frozen features."""
