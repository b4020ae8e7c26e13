"""The stored view: the state of the log in a database, so that a start need not read it all."""
