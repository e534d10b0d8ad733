"""What lies beside an output, and the order in which it is written.

Knows stores and documents; no plan, no body of a step and no command line.

layout           names of the files
status           the status file: one token, or a tombstone
tombstone        the status of an output that is about to be deleted, until something uses it
tombstone_writes puts one there, and takes it away
lease            the lock file: who holds a target; its sealed form commits
holder           the name a holder writes into its lease
living_work      what an attempt started on this machine and still lives: found and killed
documents        attempts and records, schema-versioned
record_reader    what a record says, read without models
attempt_reader   what the document of an attempt says
log_format       the time at the head of each line of a log
manifest         the files of an output, and how two lists of them differ
artifact         what a step returned
provenance       who built a target, from which commit, and in which environment
taints           marks on targets that a person has declared bad
acceptance       a person's word that new code would have built the same output
state_machine    the states of a target and the moves between them: one transition function
look             status and lease of a target, with their versions; a watch on another's lease
acquire          by the kernel's lock alone where nothing lies, else by documents, too
claim_by_documents  from a look at a target to its lease, and an attempt of our own
claim_outcomes   why a claim gave no attempt: held, finished, or data that is not ours
held_target      a target under our lease: commit or fail, and release
renewal          renews a lease, and knows when it is too late
publish          from a sealed lease to SUCCESS
path_lock        waits for a lease alone, for programs that build outputs themselves
path_lease       keeps and confirms it, once it is theirs
gang             several hosts that run one step under one lease
unlock           takes a lease away by hand
"""
