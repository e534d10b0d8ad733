"""Plan + templates -> files. Pure: the same plan and templates give the same bytes.

quoting      how a value enters a script, YAML or a comment: the filters
templates    which template serves; the user's win over ours
plan_id      the short name of a plan; the engines
document     plan.json
actions      what a step's action runs
local        shell scripts for this machine
kubernetes   Jobs and JobSets
directory    all files of a plan directory, with their digests
"""
