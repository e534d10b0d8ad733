"""What a step's code is: normalised syntax of all it reaches, and the values it captured.

    code_of(fn)            digest, parts, captured values, what could not be seen
    code_digest(fn)        the digest alone: records keep it, plans pin it, `rebuild` hashes it
    same_code(one, other)  whether two steps of equal identity really do the same
    has_drifted(...)       whether code differs from what built an output

Comments, docstrings and formatting do not count. Followed by name are functions, classes and
constants of the project, across modules; installed distributions count by their version.
"""
