"""How long things take, in the log."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


@contextmanager
def log_time(label: str, level: int = logging.INFO) -> Iterator[None]:
    """Log how long a block took, unless it raised."""
    begun = time.perf_counter()
    yield
    logger.log(level, "%s took %s", label, timedelta(seconds=time.perf_counter() - begun))
