"""Pictures of a graph. Pure: a picture is a value, each format a function of it.

picture      nodes with their state, edges
formats      text, dot, mermaid, json
layout       layers, order within them, coordinates
svg          the static picture
"""
