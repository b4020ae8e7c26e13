"""Memory: what agents put aside, each for its session, or for others where a policy says so."""
