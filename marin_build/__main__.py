"""`python -m marin_build`: the command line, run by the Python that the user named."""

from __future__ import annotations

from marin_build.cli.main import main

main()
