"""File systems that several machines mount: a lock there must keep others out, or be refused."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store import mounts
from marin_build.store.mounts import is_shared, probe_locks

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:30 / {there} rw shared:2 - nfs4 server:/export rw,vers=4.2
41 40 0:31 / {there}/local rw - tmpfs none rw
42 22 0:32 / {there}\\040two rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("there", True),
        ("there/deep/er", True),
        ("there/local/x", False),
        ("there two/x", True),
        ("therefore", False),
        (".", False),
    ],
)
def test_the_nearest_mount_decides(tmp_path: Path, folder: str, *, shared: bool) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.format(there=tmp_path / "there"))
    assert is_shared(str(tmp_path / folder), str(table)) is shared


def test_without_a_table_a_folder_is_taken_for_local(tmp_path: Path) -> None:
    assert not is_shared(str(tmp_path), str(tmp_path / "nothing"))


def test_locks_that_hold_are_accepted(tmp_path: Path) -> None:
    probe_locks(str(tmp_path))
    probe_locks(str(tmp_path))


@pytest.mark.parametrize("how", ["ignored", "refused"])
def test_locks_that_do_not_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        if how == "refused":
            raise OSError(37, "No locks available")

    monkeypatch.setattr(mounts, "fcntl", _Fake(flock))
    with pytest.raises(StoreError, match="no lease holds") as caught:
        probe_locks(str(tmp_path))
    assert "--no-lease" in (caught.value.hint or "")


class _Fake:
    """The module, with another flock."""

    LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

    def __init__(self, flock: object) -> None:
        self.flock = flock
