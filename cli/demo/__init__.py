"""The demonstration: real servers to govern, and a scripted agent that tries its bounds."""
