"""Approvals: what waits for people, and the card on which they decide."""
