"""Values: where those of a call come from, and what the results of calls carry on."""
