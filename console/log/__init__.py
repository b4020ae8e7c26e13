"""Log: how much there is of it, who signs it, and whether it holds."""
