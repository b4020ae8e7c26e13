"""The rules: which principal may do what, read from reviewed files and decided by one kernel."""
