"""Notices: telling other programs that people are needed, or that something was noticed."""
