"""The operators' command line, and the place where the program is put together."""
