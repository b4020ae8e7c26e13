"""Help: keys, kinds of entries and codes."""
