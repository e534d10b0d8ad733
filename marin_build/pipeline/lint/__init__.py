"""Rules about declarations that are legal, and probably a mistake. Pure; no store is read.

findings.py says what a finding is, and lists the kinds; every other file is one rule or a few.
"""
