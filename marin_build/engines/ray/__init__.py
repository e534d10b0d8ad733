"""Ray: a job a step, submitted to and followed at the dashboard of a cluster that is there.

Knows plans, templates and the words of Ray; no other engine.
"""
