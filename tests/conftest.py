"""What every test may rely on: no setting of the machine reaches it, and no clock judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A slow machine is no failure, so Hypothesis watches no clock.
settings.register_profile("marin-build", deadline=None)
settings.load_profile("marin-build")


@pytest.fixture(autouse=True)
def _nothing_from_outside() -> Iterator[None]:
    """Hide what the person who runs the tests has set for their own pipelines."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MARIN_PREFIX", "MARIN_BUILD", "MARIN_BUILD_PROJECT"):
            patch.delenv(name, raising=False)
        yield
