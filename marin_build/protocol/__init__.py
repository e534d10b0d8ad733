"""What lies beside an output, and the order in which it is written.

layout       names of the files
status       the one token
lease        who holds a target; the seal
documents    attempts and records, schema-versioned
recorded     what a record says, read without models
artifact     what a step returned
machine      the states of a target and the moves between them: one transition function
looking      status and lease of a target, with their versions
acquiring    from a look to an attempt of our own
keeping      renewing a lease, and knowing when it is too late
watching     judging the lease of somebody else
locking      a lease alone, for programs that build outputs themselves
holding      commit, or fail, and release
publishing   from a seal to SUCCESS
"""
