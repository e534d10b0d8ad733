"""What loading a pipeline looked at, and what it gave: kept, and used in place of another load.

A load need not be repeated while all that it looked at is unchanged.
"""
