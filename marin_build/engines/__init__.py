"""Where actions run: one package an engine, found by its name.

No code outside an engine's own package knows its name, its settings or its terms.

base        what an engine declares and does: the class that every engine derives from
registry    which engines there are: ours by a table, others by their entry points
settings    one checker for every table of the configuration
emission    checks a plan for an engine, and makes all files of its plan directory
"""
