"""What a stand-in does to its callers on purpose, and what it remembers of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random
from typing import Literal

Loss = Literal["reply", "hang", "hold"]


@dataclass(slots=True)
class Call:
    """A request as the server saw it.

    `beside` counts the requests that were being served when it came, itself included.
    """

    method: str
    path: str
    query: dict[str, str]
    beside: int
    status: int = 0
    fault: str = ""


@dataclass(slots=True)
class Fault:
    """Which of the requests that match it a fault strikes, and how.

    Args:
        how: a status to answer with, the request undone; or "reply": do it, then hang up;
            or "hang": leave it undone and never answer; or "hold": do it, and answer when the
            server is told to let go.
        method: only such requests; any if empty.
        holds: only requests whose path holds this (object names as sent, `/` as `%2F`), or the name
            of what is uploaded (as it is).
        nth: the number of the one that is struck, from 1 on.
        first: or so many from the start.
        every: or each so-many-th.
        share: or each with this probability, from `seed`.

    """

    how: int | Loss
    method: str = ""
    holds: str = ""
    nth: int = 0
    first: int = 0
    every: int = 0
    share: float = 0.0
    seed: int = 0
    seen: int = 0
    struck: int = 0
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def strikes(self, call: Call) -> bool:
        """Count a request and say whether it is struck."""
        if self.method not in ("", call.method):
            return False
        if self.holds not in call.path and self.holds not in call.query.get("name", ""):
            return False
        self.seen += 1
        struck = (
            self.seen == self.nth
            or self.seen <= self.first
            or (self.every > 0 and self.seen % self.every == 0)
            or (self.share > 0 and self._random.random() < self.share)
        )
        self.struck += struck
        return struck


@dataclass(slots=True)
class Faults:
    """What is wrong at the moment.

    Args:
        latency: seconds a request.
        crowd: the first requests are answered when so many wait at once.
        rules: what befalls which requests.

    """

    latency: float = 0.0
    crowd: int = 0
    rules: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        self.rules.append(fault)
        return fault

    def clear(self) -> None:
        """Let all be well."""
        self.latency, self.crowd = 0.0, 0
        self.rules.clear()

    def strike(self, call: Call) -> int | Loss | None:
        """Return what befalls a request; the first rule that strikes decides."""
        with self._lock:  # servers answer in many threads, and count one request after another
            return next((rule.how for rule in self.rules if rule.strikes(call)), None)
