"""Plan + templates -> files. Pure: the same plan and templates give the same bytes.

Knows plans and templates; no store, no lease and no command line.

plan_view        what is shown of a plan
plan_rows        the lines of a plan, whatever it is shown as
fold_rows        one line that stands for many targets with similar names
plan_text        a plan as lines for files and pipes, and as Markdown
plan_html        a plan as HTML for a notebook
plan_json        a plan for programs
quoting          how a value enters a script, YAML or a comment: the filters
templates        which template serves; the user's win over ours
plan_directory   all files of a plan directory, and what the action of each target runs
graph/           pictures and pages
"""
