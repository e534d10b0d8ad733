"""Pictures of a plan. Pure: a picture is made from a plan's document, each format from a picture.

Knows documents of plans; no pipeline, no store and no command line.

drawing          from a document to a drawing in any format: the way in
live             what a look at the pipeline and its store adds to a document
picture          nodes with their state, edges
simplify         fewer nodes and edges: folders as one, some states only, no edge that others imply
text_formats     a tree, dot, mermaid, json
layout           layers, order within them, coordinates
svg              the static picture, in that layout
details          what a page says of a plan and of each node
page             the page that a browser shows, and lays out with dagre
saved_plan_page  the page that lies beside a saved plan
"""
