"""The process that loads pipelines for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.analysis.loads import LoadProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def loads() -> Iterator[LoadProcess]:
    """Return a process in which each pipeline is loaded anew."""
    process = LoadProcess.start()
    try:
        yield process
    finally:
        process.end()
