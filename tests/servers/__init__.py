"""Servers the tests talk to in place of what cannot be had: each says whose rules it follows."""
