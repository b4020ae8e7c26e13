"""Links: how the gateway reaches the other side. A call crosses only with a `Permit`."""
