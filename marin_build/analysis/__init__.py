"""What loading a pipeline looked at: recorded while it loads, and compared with what is there now.

A load that was observed need not be repeated while all that it looked at is unchanged.
"""
