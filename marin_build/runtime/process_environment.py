"""Environment variables of this program that functions in its threads need for a while."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import StepFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Environment:
    """Sets environment variables of this program while functions in threads need them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, int]] = {}
        self._before: dict[str, str | None] = {}

    @contextmanager
    def holding(self, env_vars: Mapping[str, str]) -> Iterator[None]:
        """Set variables for a block; the last function that needs one puts its old value back.

        Raises:
            StepFailedError: a function that runs now has set one of them to another value.

        """
        with self._lock:
            for name, value in env_vars.items():
                held = self._held.get(name)
                if held is not None and held[0] != value:
                    raise StepFailedError(
                        f"two functions that run at once set `{name}` to different values",
                        facts=[("values", f"{held[0]!r}, {value!r}")],
                        hint="the threads of a program share one environment: run one at a time",
                    )
            for name, value in env_vars.items():
                count = self._held.get(name, (value, 0))[1]
                if not count:
                    self._before[name] = os.environ.get(name)
                    os.environ[name] = value
                self._held[name] = (value, count + 1)
        try:
            yield
        finally:
            with self._lock:
                for name in env_vars:
                    self._give_back(name)

    def _give_back(self, name: str) -> None:
        value, count = self._held.pop(name)
        if count > 1:
            self._held[name] = (value, count - 1)
            return
        before = self._before.pop(name)
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


ENVIRONMENT = Environment()
