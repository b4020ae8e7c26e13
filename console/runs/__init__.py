"""Runs of flows: what they do, step by step, as a table, a graph and a line of time."""
