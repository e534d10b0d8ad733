"""The real program, run from the outside."""
