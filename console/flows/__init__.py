"""Flows before they run: their pictures, and a place to draft one."""
