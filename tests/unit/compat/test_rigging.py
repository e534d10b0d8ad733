"""What experiments use of rigging: paths, prefixes, files, logs."""

from __future__ import annotations

import json
import logging
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.compat.rigging.files import filesystem, is_remote_path, open_url, url_to_fs
from marin_build.compat.rigging.log_setup import configure_logging
from marin_build.compat.rigging.regions import (
    check_path_in_region,
    marin_prefix,
    marin_region,
    marin_temp_bucket,
    region_from_metadata,
    region_from_prefix,
)
from marin_build.compat.rigging.storage_path import StoragePath, prefix_join, split_gcs_path
from marin_build.compat.rigging.timing import log_time
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = json.loads(
    (Path(__file__).parents[2] / "data/marin_fray/storage_paths.json").read_text("utf-8")
)


def test_paths_have_the_parts_and_joins_that_marin_gives_them() -> None:
    """Another separator is another object in a bucket."""
    for value, *expected in VECTORS["paths"]:
        p = StoragePath(value)
        assert [str(p), p.bucket, p.key, p.name, str(p.parent), p.is_local] == expected, value
    for prefix, relative, joined in VECTORS["joins"]:
        if joined is None:
            with pytest.raises(ValueError, match="not relative"):
                prefix_join(prefix, relative)
        else:
            assert prefix_join(prefix, relative) == joined
    for value, base, relative in VECTORS["relative"]:
        assert StoragePath.parse(value).relative_to(StoragePath(base)) == relative
    with pytest.raises(ValueError, match="not under"):
        StoragePath("gs://a/b").relative_to(StoragePath("gs://b"))
    assert StoragePath.normalize("gs://b//k/") == str(StoragePath(StoragePath("gs://b/k")))
    assert split_gcs_path("gs://b/a/c") == ("b", Path("a/c"))
    with pytest.raises(ValueError, match="gs://BUCKET"):
        split_gcs_path("/tmp")


def test_places_are_written_and_read(tmp_path: Path) -> None:
    folder = StoragePath(str(tmp_path)) / "a/b"
    folder.mkdirs()
    (folder / "x.txt").write_text("one")
    (folder / "y.bin").write_bytes(b"2")
    assert (folder / "x.txt").read_text() == "one"
    assert (folder / "y.bin").read_bytes() == b"2"
    assert sorted(str(p) for p in folder.ls()) == [f"{folder}/x.txt", f"{folder}/y.bin"]
    assert [str(p) for p in (folder / "*.txt").glob()] == [f"{folder}/x.txt"]
    assert [(str(p), d, sorted(f)) for p, d, f in folder.walk()] == [
        (str(folder), [], ["x.txt", "y.bin"])
    ]
    (folder / "x.txt").rename(folder / "z.txt")
    assert ((folder / "z.txt").size(), (folder / "z.txt").isfile(), folder.isdir()) == (
        3,
        True,
        True,
    )
    assert (folder / "z.txt").mtime().year >= 2026
    (folder / "z.txt").rm()
    folder.parent.rmtree()
    assert not folder.exists()


def test_a_place_in_a_store_stays_there() -> None:
    """What fsspec lists has lost its scheme, and would be looked for on this machine."""
    folder = StoragePath("memory://fray-test/a")
    (folder / "x").write_text("1")
    (listed,) = folder.ls()
    assert listed.read_text() == "1"
    assert folder.is_remote
    folder.rmtree()


def test_files_are_opened_by_path_and_url(tmp_path: Path) -> None:
    with open_url(tmp_path / "x", "w") as file:
        file.write("1")
    assert url_to_fs(f"file://{tmp_path}/x")[0].exists(f"{tmp_path}/x")
    assert filesystem("file").exists(str(tmp_path / "x"))
    assert (is_remote_path("gs://b"), is_remote_path("/b"), is_remote_path("file:///b")) == (
        True,
        False,
        False,
    )


@pytest.fixture(autouse=True)
def _prefix() -> Iterator[None]:
    region_from_metadata.cache_clear()
    with in_workspace(Workspace("/project", "gs://marin-us-central2/mine")):
        yield
    region_from_metadata.cache_clear()


def _answers(monkeypatch: pytest.MonkeyPatch, zone: str | None) -> None:
    def answer(*_args: Any, **_options: Any) -> BytesIO:
        if zone is None:
            raise OSError("no such host")
        return BytesIO(zone.encode())

    monkeypatch.setattr(urllib.request, "urlopen", answer)


def test_the_prefix_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `--prefix` is not obeyed by what an experiment computes from the prefix."""
    _answers(monkeypatch, None)
    assert marin_prefix() == "gs://marin-us-central2/mine"
    assert marin_region() == "us-central2"


def test_the_region_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    _answers(monkeypatch, "projects/1/zones/us-east5-a")
    assert (marin_region(), region_from_metadata()) == ("us-east5", "us-east5")
    assert region_from_prefix("gs://marin-eu-west4/x") == "europe-west4"
    assert region_from_prefix("/tmp/us-east5") is None


@pytest.mark.parametrize(
    ("days", "inside", "expected"),
    [
        (1, "x/", "gs://marin-us-central2/tmp/ttl=1d/x"),
        (8, "", "gs://marin-us-central2/tmp/ttl=14d"),
        (99, "", "gs://marin-us-central2/tmp/ttl=30d"),
    ],
)
def test_what_may_go_lies_where_the_bucket_takes_it_away(
    days: int, inside: str, expected: str
) -> None:
    assert marin_temp_bucket(days, inside) == expected


def test_elsewhere_what_may_go_lies_under_the_prefix() -> None:
    east = marin_temp_bucket(1, "x", source_prefix="gs://marin-us-east5/a/b")
    assert east == "gs://marin-us-east5/tmp/ttl=1d/x"
    with in_workspace(Workspace("/project", "/outputs")):
        assert marin_temp_bucket(1, "x") == "/outputs/tmp/x"
        assert marin_temp_bucket(1, "x", source_prefix="/elsewhere") == "/outputs/tmp/x"
    with pytest.raises(ValueError, match="positive"):
        marin_temp_bucket(0)


def test_a_path_of_another_region_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """A training that reads across the ocean is paid for by the byte."""
    check_path_in_region("data", "gs://marin-us-central2/x", "us-central2")
    check_path_in_region("data", "/x", "us-central2", local_ok=True)
    check_path_in_region("data", "gs://mine/x", "us-central2")
    assert "cannot tell the region of data" in caplog.text
    for wrong in ("gs://marin-us-east5/x", "/x", "s3://x"):
        with pytest.raises(ValueError, match="data"):
            check_path_in_region("data", wrong, "us-central2")


def test_logs_keep_the_handlers_of_a_step(caplog: pytest.LogCaptureFixture) -> None:
    """Else what a step logs is missing in its log."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging(logging.INFO)
        assert root.handlers == before
        with log_time("the block"):
            pass
        assert "the block took 0:00:0" in caplog.text
    finally:
        root.setLevel(level)
