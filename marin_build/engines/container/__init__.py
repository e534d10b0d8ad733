"""Containers on this machine: one a step, run by podman or docker.

Knows plans, templates and the words of these programs; no other engine.
"""
