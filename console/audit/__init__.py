"""Audit: the log as people search and read it, and proofs that are checked before their eyes."""
