"""One function for each thing a person asks for: plan, apply, explain, diff and the others.

Prints nothing and knows no command line: results are returned, and what happens is an event.
"""
