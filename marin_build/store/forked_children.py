"""Forked processes and the clients of buckets that they inherit: a child leaves them alone."""

from __future__ import annotations

import os
import weakref
from typing import Any

_in_use: dict[int, Any] = {}


def _disarm() -> None:
    """Keep a forked process from closing what belongs to its parent.

    The file systems it inherits have finalisers that would wait, when it ends, for an event loop
    whose thread it has not got. The references stay, so that nothing else is tidied up either.
    """
    for fs in _in_use.values():
        for reference in weakref.getweakrefs(fs):
            if isinstance(reference.__callback__, weakref.finalize):
                reference.__callback__.detach()


os.register_at_fork(after_in_child=_disarm)


def disarm_in_children(fs: Any) -> None:
    """Keep forked processes from closing a file system that their parent uses."""
    _in_use[id(fs)] = fs
