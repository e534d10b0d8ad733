"""Bodies that run in forked children of one warm template process.

Knows bodies and workers; no store, no lease.
"""
