"""Runs that build: a whole plan, a saved one, one target; here, or handed to a queue."""
