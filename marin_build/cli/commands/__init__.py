"""One file per command: parses its options, calls an operation, and shows the result."""
