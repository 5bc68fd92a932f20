"""Named points on people and objects."""
