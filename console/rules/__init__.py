"""Rules: the policy in force, what the files propose, what rules come to, and why."""
