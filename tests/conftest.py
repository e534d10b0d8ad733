"""What every test may rely on: no setting of the machine reaches it, and no clock judges it."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# A slow machine is no failure, so Hypothesis watches no clock. The suite tries the same examples
# everywhere: a change fails because of what it changes. `make fuzz` looks for many new ones.
_WITHOUT_CLOCK: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("marin-build", derandomize=True, max_examples=50, **_WITHOUT_CLOCK)
settings.register_profile("fuzz", max_examples=2_000, **_WITHOUT_CLOCK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "marin-build"))

# Whoever starts the suite in the background of a script has SIGINT ignored; so would all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what stays: half of the time of collecting all tests went there.

    Each of xdist's processes collects all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _nothing_from_outside() -> Iterator[None]:
    """Hide what the person who runs the tests has set for their own pipelines."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MARIN_PREFIX", "MARIN_BUILD", "MARIN_BUILD_PROJECT"):
            patch.delenv(name, raising=False)
        yield
