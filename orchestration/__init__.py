"""Patterns of several agents, durable, with every hop through the gateway."""
