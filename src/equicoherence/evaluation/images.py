"""How many given images tasks read at a time."""

BATCH = 256
