"""Approvals: questions to people about one exact call, and their answers."""
