"""Runs of flows, as the gate sees them: whose they are, what their steps did, how they go on."""
