"""Kubernetes: Jobs, and JobSets for steps of several hosts.

Knows plans and templates; no other engine.
"""
