"""The step functions of the stdlib_lm example: one subject per module, plain Python."""
