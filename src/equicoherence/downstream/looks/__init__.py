"""How features look."""
