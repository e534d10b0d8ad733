"""Facts of the pipeline and its store that a page shows, and a plan document does not contain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTarget:
    """The present facts about one target; each may be missing.

    Args:
        reason: why it has its decision, in words, with times and hosts.
        tags, description: as the author declared them.
        drift: how code or environment differ from those that built it, in words.
        seconds, builds: how long building it may take, and of how many builds that is the median.
        cost: what building it may cost, in US dollars.
        took: how long its build took, in seconds.
        log, log_of: the last lines of a log, and the name of that log.

    """

    reason: str = ""
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
    """The present facts about a plan on this machine.

    Args:
        project: the absolute folder of the project, to which paths of the document are relative;
            empty: the page is read on other machines, so its paths stay relative.
        targets: the facts about each target of the document, by id.
        summary: the plan in one line, with its time and cost.
        path: target ids of the slowest chain, the first one first; empty if unknown.
        path_text: its duration, in words.

    """

    project: str
    targets: Mapping[str, LiveTarget]
    summary: str = ""
    path: tuple[str, ...] = ()
    path_text: str = ""
