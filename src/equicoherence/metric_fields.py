"""Names of fields in ``metrics.jsonl``, for those who write them and for those who show them."""

HEALTH = ("std_", "rank_", "spread_", "teacher_entropy", "prototype_entropy")
"""What the names of fields on the health of the representation begin with."""
WATCHED = "watched_"
"""What the names of fields on what an encoder still knows begin with."""
HELD_OUT = "held_out_"
"""What the names of fields on images that are held out of training begin with."""
ENDS_WITH = "ends_with"
"""Step whose state a run ends with that did not come to its end."""
