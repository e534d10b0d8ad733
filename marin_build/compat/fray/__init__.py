"""Marin's `fray`: what jobs ask for, and what runs them."""
