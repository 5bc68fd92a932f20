"""The plane map between two patches of a photograph."""
