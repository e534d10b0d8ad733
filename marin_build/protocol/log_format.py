"""The lines of a log of an attempt: a time, a space, and what the step printed."""

from __future__ import annotations

import re
import time

_STAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ?", re.MULTILINE)


def stamp(now: float) -> bytes:
    """Return the beginning of a line printed at a Unix time: the moment in UTC, and a space."""
    whole, millis = divmod(round(now * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)).encode() + b".%03dZ " % millis


def without_stamps(data: bytes) -> bytes:
    """Return the lines of a log as they were printed."""
    return _STAMP.sub(b"", data)
