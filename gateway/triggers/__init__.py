"""What starts runs without a person: the clock, signed messages, and entries of the log."""
