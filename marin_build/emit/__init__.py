"""Plan + templates -> files. Pure: the same plan and templates give the same bytes.

quoting          how a value enters a script, YAML or a comment: the filters
templates        which template serves; the user's win over ours
plan_directory   what a step's action runs; all files of a plan directory, with their digests
graph/           pictures and pages
"""
