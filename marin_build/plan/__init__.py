"""From targets and a snapshot to decisions, reasons, estimates, a schedule and the plan document.

Pure: the same values give the same plan. Reads no store, no clock and no environment.
"""
