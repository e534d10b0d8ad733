"""Pictures of a graph. Pure: a picture is a value, each format a function of it.

picture      nodes with their state, edges
planned      the picture of a saved plan
simpler      fewer nodes and edges: folders as one, some states only, no edge that others imply
details      what is known of a node beyond that
tree         text
formats      dot, mermaid, json
layout       layers, order within them, coordinates
graphviz     the layout that Graphviz makes, instead
svg          the static picture
page         the page that a browser shows
plan_page    the page that lies beside a saved plan
"""
