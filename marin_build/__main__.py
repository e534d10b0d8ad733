"""`python -m marin_build`: the command line, with the Python that was asked for."""

from __future__ import annotations

from marin_build.cli.main import main

main()
