"""Where actions run: one package an engine, found by its name.

Nothing outside an engine's own package knows its name, its settings or its words.

base        what an engine says of itself: the class that every engine derives from
registry    which engines there are: ours by a table, others by their entry points
settings    one checker for every table of the configuration
emission    check, then all files of a plan directory
"""
