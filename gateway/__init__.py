"""The crossing: the one path on which an agent's action is decided, recorded and forwarded."""
