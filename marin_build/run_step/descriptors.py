"""How many files a process may have open: as many as it can where bodies are supervised.

A body takes a socket, a pipe and a log. It gets the limit back that it would have without us, for
select(2) knows no descriptors above 1024, and programs that use it trust in the limit.
"""

from __future__ import annotations

import resource


def lift_limit() -> int:
    """Let this process open as many files as it may; return the limit that it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def restore_limit(soft: int) -> None:
    """Give this process, and what it starts, a former limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
