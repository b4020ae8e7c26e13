"""Faces: what agents speak to the gateway. A face reads, authenticates, asks the gate, answers."""
