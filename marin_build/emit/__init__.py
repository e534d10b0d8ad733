"""Plan + templates -> files. Pure: the same plan and templates give the same bytes.

It knows plans and templates, but no store, no lease and no command line.

plan_view        chooses the lines, warnings and next command that a plan shows
plan_rows        the lines of a plan, the same for every format; folds similar ones
fold_rows        patterns for the names of many targets in one line
plan_text        a plan as lines for files and pipes, and as Markdown
markdown         values in Markdown, where nothing in them has an effect
plan_html        a plan as HTML for a notebook
plan_json        a plan for programs
quoting          how a value enters a script, YAML or a comment: the filters
templates        finds and renders templates; the user's win over ours
plan_directory   all files of a plan directory, and the command line of each action
graph/           pictures and pages
"""
