"""Checks of a pipeline and of this machine, and first steps."""
