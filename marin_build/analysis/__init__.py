"""What loading a pipeline gave, kept for commands that need none of its functions."""
