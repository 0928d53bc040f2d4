"""Tables in files, a few rows at a time."""
