"""The ends of the logs of what failed, for a page: as `apply` shows them when a step fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from marin_build.cli.views.failure_text import last_lines, log_tail
from marin_build.protocol import layout
from marin_build.reasons import FailedBefore, HeldBy
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.plan import Plan
    from marin_build.store.base import Store

_MOST_LOCAL = 50
_MOST_REMOTE = 10
"""Of so many targets the end of the log is shown; nobody reads more."""
_LARGEST_REMOTE = 1 << 20
"""Bytes. A log in a bucket can only be read whole."""


def ends_of_logs(store: Store, plan: Plan) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Return which log it is, and its last lines, of what failed or runs.

    Logs in a bucket are read only of what failed, and only small ones.

    Raises:
        StoreError: the store cannot be read.

    """
    local, remote = dict[int, tuple[str, int]](), dict[int, tuple[str, int]]()
    for index, attempt in _attempts(plan):
        output = plan.targets.all[index].output_path
        wanted, most = (remote, _MOST_REMOTE) if is_url(output) else (local, _MOST_LOCAL)
        if len(wanted) < most:
            wanted[index] = output, attempt
    found = {
        index: (_title(attempt), tuple(log_tail(layout.log_path(output, attempt))))
        for index, (output, attempt) in local.items()
    }
    found |= _remote(store, remote)
    return {index: (title, lines) for index, (title, lines) in found.items() if lines}


def _attempts(plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield what failed or runs, and the number of its attempt."""
    for decision in plan.decisions:
        match decision.reason:
            case FailedBefore(attempt=attempt) if attempt:
                yield decision.index, attempt
            case HeldBy():
                lease = plan.snapshot.of(decision.index).lease
                if lease is not None and lease.attempt:
                    yield decision.index, lease.attempt


def _remote(
    store: Store, wanted: Mapping[int, tuple[str, int]]
) -> dict[int, tuple[str, tuple[str, ...]]]:
    if not wanted:
        return {}

    def is_small(place: tuple[str, int]) -> bool:
        output, attempt = place
        name = layout.log_path("", attempt).rpartition("/")[2]
        sizes = {file.path: file.size for file in store.files(f"{output}/{layout.LOGS}")}
        return sizes.get(name, _LARGEST_REMOTE) < _LARGEST_REMOTE

    with ThreadPoolExecutor(_MOST_REMOTE) as pool:
        small = list(pool.map(is_small, wanted.values()))
    kept = {index: wanted[index] for index, fits in zip(wanted, small, strict=True) if fits}
    blobs = store.get_many([layout.log_path(*place) for place in kept.values()])
    return {
        index: (_title(attempt), tuple(last_lines(blob.data)))
        for (index, (_, attempt)), blob in zip(kept.items(), blobs, strict=True)
        if blob is not None
    }


def _title(attempt: int) -> str:
    return f"end of the log of attempt {attempt}"
