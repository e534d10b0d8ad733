"""The documentation is run and checked."""
