"""Stores: what holds bytes. Only the command line and the public API make concrete ones."""
