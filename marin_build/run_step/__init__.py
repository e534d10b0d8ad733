"""Building one target, under its lease, anywhere: the only way a target is built.

outcome      how it ended
session      what all targets of one run share
body         the step itself: clear, call, verify
supervise    acquire, have the body run, commit
bodies       the seam where a body runs: in a thread, or in a forked child
in_thread, in_fork, template    its two sides; the warm process that forks, and keeps the logs
in_child     what a forked child does: one body, or one after the other
polling, descriptors    who is called when a descriptor can be read; how many there may be
strays       what left the process group of its step
log_lines, step_log    what is printed, as lines with times and without secrets; their file
usage        CPU time and memory of a body
in_foreground   the same for one body at a keyboard: in the main thread of this process
pool         supervisors, one a slot
keeper       the process that renews the leases of steps that take long
"""
