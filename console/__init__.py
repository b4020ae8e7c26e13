"""The operators' web pages; they show what the gateway knows and hold no logic of their own."""
