"""Building one target, under its lease, anywhere: the only way a target is built.

Knows no command line, and not in which order the targets of a run are built.

session             what all targets of one run share
workers             the seam to the build loop: a request to build a target, and its answer
supervisor          builds one target: acquires its lease, has its body run, commits the result
supervisor_pool     the threads that supervise, one a slot
attempt             one attempt under a lease: clears the output, checks it, and ends the attempt
launch              which rank of a gang this process is
leader_lease        takes the lease of a gang
leader              rank 0 of a gang: waits for the ranks, and says how all of them ended
rank                another rank: works under the leader's lease, and says how it ended
body                the step itself, and the seam where it runs: in a thread, a child, or here
thread_bodies       bodies in threads of this process
fork/               bodies in forked children of a warm template process
owed_threads        knows which threads a step in a thread has started
command_session     a command in a thread: a session, a mark and a log of its own
interpreter_end     what Python does at the end of a program, done when a body has returned
foreground_bodies   one body in the main thread of this process, at a keyboard
lease_keeper        the process that renews the leases of steps that take long
commit_existing     registers existing data as the output of a target
commit_retry        how long a result waits for a store that does not answer
output_folder       clears what a failed attempt left, and checks what a step left
record              the record of a target that was built
step_log            the file that takes what a step prints, with times and without secrets
leftover_processes  finds and kills the processes that outlive their step
resource_usage      CPU time and memory of a body
"""
