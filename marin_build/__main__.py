"""`python -m marin_build`: the command line, run by the Python that the user named."""

from __future__ import annotations

import os
import sys

if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[0]  # a `queue.py` in the current folder is not Python's; loading adds the project

from marin_build.cli.main import main

main()
