"""A live view of runs for a browser on this machine: read-only, behind a token in its address.

`guard.py` says who may ask, `application.py` what can be asked for, and `server.py` runs it.
"""
