"""The demonstration: real servers to govern, and a scripted agent that tries what it may and may not."""
