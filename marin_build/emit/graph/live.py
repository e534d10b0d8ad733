"""What a plan document does not say, and a look at the pipeline and its store does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.protocol.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTarget:
    """What is known of one target now; everything may be missing.

    Args:
        reason: why it has its decision, in words, with times and hosts.
        status: of a target that the plan did not look at; None if it has none.
        tags, description: the author's.
        drift: how code or environment differ from those that built it, in words.
        seconds, builds: how long building it may take, and of how many builds that is the median.
        cost: US dollars.
        took: how long it took, in seconds.
        log, log_of: the last lines of a log, and which one it is.

    """

    reason: str = ""
    status: Status | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    drift: str = ""
    seconds: float | None = None
    builds: int = 0
    cost: float | None = None
    took: float | None = None
    log: tuple[str, ...] = ()
    log_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is known of a plan now, on this machine.

    Args:
        project: the absolute folder of the project: what the document names relative to it is
            shown as it is.
        targets: by id, each target of the document.
        summary: the plan in one line, with what it may take and cost.
        path: ids of the chain that takes longest, the first one first; empty where that is not
            known.
        path_text: how long that takes, in words.

    """

    project: str
    targets: Mapping[str, LiveTarget]
    summary: str = ""
    path: tuple[str, ...] = ()
    path_text: str = ""
