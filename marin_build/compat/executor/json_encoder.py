"""The JSON that Marin hashes and writes: values that JSON does not know get a form here."""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

_log = logging.getLogger("marin_build.executor")
_QUIET = ("jax", "ml_dtypes", "numpy")
"""Packages whose values Marin hashes by their text on purpose: dtypes and partition specs."""


class CustomJsonEncoder(json.JSONEncoder):
    """Encodes as Marin's executor does, so that the digits of its folders are found again.

    A value without a form of its own is hashed by its text, and a warning names its type: a text
    that differs from run to run gives another folder in each.
    """

    def default(self, o: Any) -> Any:
        """Return the form of a value that JSON does not know."""
        match o:
            case timedelta():
                return {"days": o.days, "seconds": o.seconds, "microseconds": o.microseconds}
            case Path():
                return str(o)
            case Enum():
                return o.value
            case _ if dataclasses.is_dataclass(o) and not isinstance(o, type):
                return dataclasses.asdict(o)
        kind = o if isinstance(o, type) else type(o)
        if kind.__module__.partition(".")[0] not in _QUIET:
            _log.warning(
                "a %s in a config has no JSON form and counts by its text: %s", kind.__name__, o
            )
        return str(o)
