"""One suite for every store: what the seam says holds wherever the bytes are."""
