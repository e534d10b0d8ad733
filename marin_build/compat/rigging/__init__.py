"""What experiments import of Marin's `rigging`: paths, files, prefixes, logs."""
