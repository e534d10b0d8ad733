"""The engine `kubernetes`: Jobs, and JobSets for steps that run on several hosts.

It knows plans and templates, but no other engine.
"""
