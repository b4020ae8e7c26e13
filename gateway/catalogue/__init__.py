"""The catalogue: which servers exist, which of their tools were accepted, how they are called."""
