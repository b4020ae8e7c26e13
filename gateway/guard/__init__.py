"""Guards: what notices an agent that loops, floods or does what it never did, and stops it."""
