"""What an author declares: a file gives steps, steps make a graph, a graph makes targets.

Reads the author's files and sources; never what was built, and no store that holds it.
"""
