"""Marin's names for steps, resources and jobs: each is lowered onto the steps of marin-build.

Nothing below knows of this package. Values of it stand for steps and resources
(`pipeline/stands_for.py`), and a pipeline file is loaded through `pipeline/runtime_calls.py`.
`install` makes Marin's own modules importable where Marin is not installed.
"""

from marin_build.compat.aliases import install, uninstall

__all__ = ["install", "uninstall"]
