"""A prefix that cannot be written: why, in words that lead to the right remedy."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.operations.building.run_session import check_writable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("flags", "reason"), [(os.ST_RDONLY, "read-only file system"), (0, "permission denied")]
)
def test_a_disk_without_writing_is_not_a_want_of_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, reason: str
) -> None:
    """Else a user looks for rights that they have, on a disk that is mounted read-only."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    with pytest.raises(StoreError) as caught:
        check_writable(str(tmp_path))
    assert ("reason", reason) in caught.value.facts
