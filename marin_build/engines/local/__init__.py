"""This machine: shell scripts, and the scheduler of `apply`.

Knows plans and templates; no other engine.
"""
