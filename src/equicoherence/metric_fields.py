"""Names of fields in ``metrics.jsonl``."""

HEALTH = ("std_", "rank_", "spread_", "teacher_entropy", "prototype_entropy")
"""Prefixes of fields on the health of the representation."""
WATCHED = "watched_"
"""Prefix of fields on how much an encoder has kept."""
HELD_OUT = "held_out_"
"""Prefix of fields on held-out images."""
ENDS_WITH = "ends_with"
"""Step whose state is the result of a run that was stopped early."""
STOPPED = "stopped"
"""Why a run was stopped before its last step."""
CHANGED = "changed"
"""What is other from this step on, in a run that stopped and was resumed with another rate."""
