"""One file per command: it parses, calls, and hands the result to a view."""
