"""The stdio bridge for desktop clients (`passavant connect`)."""
