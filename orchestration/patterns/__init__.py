"""The patterns: each a short function over the context, in a file of its own."""
