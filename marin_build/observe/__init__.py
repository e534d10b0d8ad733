"""Reads from stores and from this machine the values that plans speak of.

Each `read_X` returns a value; nothing here writes, decides or prints.
"""
