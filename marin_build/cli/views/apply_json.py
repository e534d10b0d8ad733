"""What apply reports, one JSON document a line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from marin_build.apply.events import event_fields, event_name

if TYPE_CHECKING:
    from marin_build.apply.events import Event


def show_json(event: Event) -> None:
    """Print an event: `{"event": "step_succeeded", ...}`."""
    line = json.dumps({"event": event_name(type(event)), **event_fields(event)})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
