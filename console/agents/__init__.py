"""Agents: who may act here, what they may do, and what they are doing."""
