"""Apply: replay a plan on this machine.

events      what is reported, as values
schedule    which target may start when: one state machine, pure
applier     the loop between schedule and isolation
"""
