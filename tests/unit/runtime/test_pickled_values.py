"""Pickles are loaded only where nobody else can have written one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoppedError
from marin_build.runtime.pickled_values import refuse_others

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A pickle in a folder of this user, below folders of nobody else."""
    path = tmp_path / "prefix/cache/f/data.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    for place in (path, *path.parents[:4]):
        place.chmod(place.stat().st_mode & ~0o022)
    return path


def test_what_is_ours_alone_is_used(file: Path) -> None:
    refuse_others(str(file))
    refuse_others(str(file.with_name("none.pkl")))
    refuse_others("gs://bucket/data.pkl")


@pytest.mark.parametrize("above", range(4))
def test_what_all_may_write_is_refused(above: int, file: Path) -> None:
    """Else any user of the machine has this program run his code."""
    place = (file, *file.parents)[above]
    place.chmod(0o777)
    with pytest.raises(StoppedError, match="other users may write") as caught:
        refuse_others(str(file))
    assert caught.value.facts[:2] == (("place", str(place)), ("reason", "its rights are 0777"))


def test_a_folder_whose_files_only_their_owners_replace_is_used(file: Path) -> None:
    """Else nothing below /tmp is used."""
    file.parents[2].chmod(0o1777)
    refuse_others(str(file))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("above", range(3))
def test_what_belongs_to_another_user_is_refused(above: int, file: Path) -> None:
    os.chown((file, *file.parents)[above], 65534, 65534)
    with pytest.raises(StoppedError, match="other users may write") as caught:
        refuse_others(str(file))
    assert caught.value.facts[1] == ("reason", "it belongs to user 65534")


def test_a_link_is_followed_to_where_it_leads(file: Path, tmp_path: Path) -> None:
    file.parent.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(file.parent)
    with pytest.raises(StoppedError):
        refuse_others(str(link / file.name))
