"""The command line: main, one file per command, and views apart from commands."""
