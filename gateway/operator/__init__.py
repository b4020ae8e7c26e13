"""The operators' side: separate listener, separate credentials, nothing an agent can reach."""
