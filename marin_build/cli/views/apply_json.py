"""What apply reports, one JSON document a line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.apply.events import Event


def show_json(event: Event) -> None:
    """Print an event: `{"event": "step_succeeded", ...}`."""
    name = type(event).__name__
    snake = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
    sys.stdout.write(json.dumps({"event": snake, **asdict(event)}) + "\n")
    sys.stdout.flush()
