"""What is known of a node beyond what every format draws: what its panel in a page says."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from marin_build.canonical import FrozenDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.reasons import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of one node; everything may be missing.

    Args:
        fingerprint: 64 hex digits.
        description, declared: the author's, and `file:line`.
        attributes: JSON values.
        inputs: logical name of a source -> digest.
        output: its path or URL; empty where it is `PREFIX/ID`.
        link: where a browser finds the output: `https://` or `file://`.
        script: the address of the script that builds it, relative to the page.
        changes, since: what differs from the nearest earlier build, and that build.
        drift: how code or environment differ from those that built it, in words.
        seconds, builds: how long building it may take, and of how many builds that is the median.
        cost: US dollars.
        took: how long it took, in seconds.
        log, log_of: the last lines of a log, and which one it is.

    """

    fingerprint: str = ""
    description: str = ""
    declared: str = ""
    attributes: Mapping[str, Any] = FrozenDict()
    inputs: Mapping[str, str] = FrozenDict()
    output: str = ""
    link: str = ""
    script: str = ""
    changes: tuple[Change, ...] = ()
    since: str = ""
    drift: str = ""
    seconds: float | None = None
    builds: int = 0
    cost: float | None = None
    took: float | None = None
    log: tuple[str, ...] = ()
    log_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a page says of the whole pipeline.

    Args:
        title: what was drawn.
        summary: the plan in one line.
        engine: where steps with resources are built.
        prefix, prefix_link: where outputs lie, and where a browser finds that; may be empty.
        commands: what can be done with a target: a label, and a command line in parts, between
            which its id belongs.
        path: the nodes of the chain that takes longest, the first one first.
        path_text: how long that takes, in words.
        depth: groups of so many parts of a name are closed at first, those above them open; 0:
            what is to be done decides.
        few: whether edges that others imply are left out at first.

    """

    title: str
    summary: str = ""
    engine: str = "local"
    prefix: str = ""
    prefix_link: str = ""
    commands: tuple[tuple[str, tuple[str, ...]], ...] = ()
    path: tuple[int, ...] = ()
    path_text: str = ""
    depth: int = 0
    few: bool = False


def shown_attributes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the author gave: attributes, and the command or what was bound to parameters."""
    bound = {f"bind.{key}": value for key, value in (payload.get("bind") or {}).items()}
    match payload.get("command"):
        case {"shell": text}:
            command = {"command": text}
        case {"argv": words}:
            command = {"command": shlex.join(words)}
        case _:
            command = {}
    return {**payload["attrs"], **bound, **command}


def browser_address(url: str) -> str:
    """Return where a browser finds an object of a bucket; empty where it cannot."""
    if url.startswith("gs://"):
        return "https://console.cloud.google.com/storage/browser/" + quote(url[5:])
    return ""
