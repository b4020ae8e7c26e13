"""Now: how the gateway is doing, and what waits for whoever looks."""
