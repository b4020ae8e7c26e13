"""Taking back what calls did: which calls, by what, in which order, and how far that has come."""
