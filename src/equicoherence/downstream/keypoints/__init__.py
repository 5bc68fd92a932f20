"""Named points on people and things."""
