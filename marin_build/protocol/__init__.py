"""What lies beside an output, and the order in which it is written.

layout       names of the files
status       the one token
lease        who holds a target; the seal
claim        what to do about a target, from what was seen: one pure function
documents    attempts and records, schema-versioned
artifact     what a step returned
holding      acquire, commit, fail, release
publishing   from a seal to SUCCESS
"""
