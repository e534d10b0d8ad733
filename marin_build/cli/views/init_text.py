"""The result of `init`, and the next commands, for people."""

from __future__ import annotations


def written_text(file: str, folder: str) -> str:
    """Return where the pipeline is, and the next commands."""
    where = "" if folder == "." else f"cd {folder}, "
    return f"written: {file}\nnext: {where}marin-build plan, then marin-build apply"
