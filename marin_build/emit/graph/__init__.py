"""Pictures of a plan. Pure: a picture is made from a plan's document, each format from a picture.

It knows documents of plans, but no pipeline, no store and no command line.

drawing          from a document to a drawing in any format: the entry point
live             facts of the pipeline and its store that a document does not contain
picture          nodes with their state, edges
simplify         fewer nodes and edges: folders as one, some states only, no implied edges
text_formats     a tree, dot, mermaid, json
layout           layers, order within them, coordinates
svg              the static picture, in that layout
details          the facts about a plan and about each node that a page shows
columns          rows of JSON values in a third of the room
page_data        what the scripts of a page read
page             the HTML page, which the browser lays out with dagre
saved_plan_page  the page that lies beside a saved plan
"""
