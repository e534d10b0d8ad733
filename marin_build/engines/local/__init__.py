"""The engine `local`: shell scripts, and the scheduler of `apply` on this machine.

It knows plans and templates, but no other engine.
"""
