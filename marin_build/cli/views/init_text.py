"""The result of `init`, and the next commands, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.operations.checks.init import FirstFiles


def written_text(files: FirstFiles, folder: str) -> str:
    """Return which files were written, and the next commands."""
    where = "" if folder == "." else f"cd {folder}, "
    return "\n".join(
        [
            *(f"kept: {file} is there already" for file in files.kept),
            *(f"written: {file}" for file in files.written),
            f"next: {where}marin-build plan, then marin-build apply",
        ]
    )
