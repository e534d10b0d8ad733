"""What lies under a prefix, and what made it."""
