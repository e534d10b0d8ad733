"""Programs that run inside the tools, each beside a copy of graph_shapes.py."""
