"""Plan directories: written, pinned, signed, read back, compared."""
