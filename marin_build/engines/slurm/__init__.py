"""Slurm: a batch script a step, submitted and followed with Slurm's own command line.

Knows plans, templates and the words of Slurm; no other engine.
"""
