"""What the program of a step, or one that runs steps itself, calls.

Knows no command line and no operation.
"""
