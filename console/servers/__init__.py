"""Servers: what is offered, what was accepted, and accepting it."""
