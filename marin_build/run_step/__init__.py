"""Building one target, under its lease, anywhere: the only way a target is built.

outcome      how it ended
session      what all targets of one run share
worker       acquire, run, verify, commit
body         the step's function or command
isolation    the seam; forked and threaded are its two sides
keeper       the process that renews the leases of steps that take long
"""
