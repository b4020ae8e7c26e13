"""Stop: everything at once, or one agent, person, server or tool; and going on."""
