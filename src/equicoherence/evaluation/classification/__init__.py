"""Classification on frozen features."""
