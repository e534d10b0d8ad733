"""Workspaces for a block of a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.workspace.workspace import Workspace


@contextmanager
def in_workspace(workspace: Workspace) -> Iterator[None]:
    """Put `workspace` in force for a block."""
    before = use_workspace(workspace)
    try:
        yield
    finally:
        use_workspace(before)
