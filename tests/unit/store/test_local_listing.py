"""Many statuses at once: a file that is there must be read, whatever its folder is like."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.store import local
from marin_build.store.local import LocalStore
from marin_build.store.local_listing import Listings

if TYPE_CHECKING:
    from pathlib import Path

_SEGMENTS = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(_SEGMENTS, min_size=1, max_size=4).map("/".join)


@pytest.fixture
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_MANY", 1)


def _read(paths: list[str]) -> list[bytes | None]:
    return [blob and blob.data for blob in LocalStore().get_many(paths)]


@pytest.mark.usefixtures("_many")
@given(there=st.sets(_PATHS, max_size=6), asked=st.lists(_PATHS, min_size=1, max_size=12))
def test_many_at_once_are_read_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], asked: list[str]
) -> None:
    """Else a target that is built would be built again, or one that is not be taken for built."""
    root = tmp_path_factory.mktemp("many")
    for name in there:
        if not any(other.startswith(name + "/") for other in there):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
    paths = [path for name in asked if not os.path.isdir(path := f"{root}/{name}")] * 20
    store = LocalStore()
    assert store.get_many(paths) == [store.get(path) for path in paths]


@pytest.mark.usefixtures("_many")
def test_what_a_link_leads_to_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "status").write_text("SUCCESS")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "broken").symlink_to("nothing")
    paths = [f"{tmp_path}/{name}/status" for name in ("link", "broken", "none")]
    assert _read(paths * 20) == [b"SUCCESS", None, None] * 20


@pytest.mark.usefixtures("_many")
def test_a_folder_that_may_not_be_listed_may_still_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else everything under a prefix of another group would be built again."""
    (tmp_path / "status").write_text("SUCCESS")

    def refuse(folder: str) -> None:  # root, who may run the tests, may list everything
        raise PermissionError(errno.EACCES, "permission denied", folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert _read([f"{tmp_path}/status"] * 20) == [b"SUCCESS"] * 20


def test_a_folder_of_far_more_entries_than_are_asked_for_is_not_listed_to_its_end(
    tmp_path: Path,
) -> None:
    for number in range(100):
        (tmp_path / str(number)).mkdir()
    few, many = Listings(20), Listings(100)
    assert few.may_hold(f"{tmp_path}/nothing/status")
    assert not many.may_hold(f"{tmp_path}/nothing/status")
    assert all(many.may_hold(f"{tmp_path}/{number}/status") for number in range(100))
    assert many.may_be(f"{tmp_path}/7")
    assert not many.may_be(f"{tmp_path}/nothing")


def test_listings_end_where_every_output_has_a_folder_above_of_its_own(tmp_path: Path) -> None:
    listings = Listings(100)
    known = [not listings.may_hold(f"{tmp_path}/{number}/v1/status") for number in range(100)]
    assert known == [True] * 12 + [False] * 88


@pytest.mark.parametrize("path", ["/status", "/tmp/status", "status"])
def test_the_top_of_the_tree(path: str) -> None:
    assert Listings(10**6).may_hold(path)
