"""TPU VMs: a queued resource of Google Cloud a step, whose machines run it as they boot.

Knows plans, templates and the words of the Cloud TPU API; no other engine.
"""
