"""Evidence: an append-only transparency log that anyone can verify without trusting its keeper."""
