"""A bundle under a prefix: sent once, checked when it is read, unpacked and removed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoppedError, StoreError, UsageError
from marin_build.operations.engine_jobs.code_bundle import (
    Bundle,
    read_bundle,
    send_bundle,
    unpacked,
)
from marin_build.operations.loading.options import PipelineOptions
from marin_build.store.local import LocalStore
from marin_build.workspace.code_zip import Entry, zip_of

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = Bundle(zip_of([Entry("pipeline.py", b"x"), Entry("bin/run", b"y", is_program=True)]))


def _place(prefix: Path, bundle: Bundle = BUNDLE) -> Path:
    return prefix / ".marin-build/bundles" / f"{bundle.name.removeprefix('sha256:')}.zip"


class _Counting(LocalStore):
    """Counts what is written."""

    writes = 0

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        self.writes += 1
        return super().put_if_absent(path, data)


def test_a_bundle_is_sent_once(tmp_path: Path) -> None:
    """Else each run sends the same megabytes again."""
    store = _Counting()
    assert send_bundle(store, str(tmp_path), BUNDLE)
    assert not send_bundle(store, str(tmp_path), BUNDLE)
    assert send_bundle(store, str(tmp_path), Bundle(zip_of([])))
    assert store.writes == 2
    assert _place(tmp_path).read_bytes() == BUNDLE.data


def test_a_store_without_conditional_writes_takes_bundles_too(tmp_path: Path) -> None:
    """Else `--no-lease`, which is for such stores, cannot use jobs with bundles."""

    class Plain(LocalStore):
        conditional = False

        def put_if_absent(self, path: str, data: bytes) -> str | None:
            raise StoreError("it has no conditional writes")

    assert send_bundle(Plain(), str(tmp_path), BUNDLE)
    assert _place(tmp_path).read_bytes() == BUNDLE.data


def test_a_job_finds_the_files_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two jobs of one machine meet, or each leaves its code there for good."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    send_bundle(LocalStore(), str(tmp_path / "out"), BUNDLE)
    options = PipelineOptions(file="pipeline.py", prefix="out")
    with unpacked(options, BUNDLE.name) as first, unpacked(first, BUNDLE.name) as second:
        assert first.prefix == second.prefix == str(tmp_path / "out")
        assert first.folder != second.folder == os.getcwd()
        assert os.access("bin/run", os.X_OK)
    assert os.getcwd() == str(tmp_path)
    assert os.listdir("tmp") == []


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda place: place.unlink(), StoppedError, "not under the prefix"),
        (lambda place: place.write_bytes(b"other"), StoppedError, "not what its name says"),
        (lambda place: place.write_bytes(b""), StoppedError, "not what its name says"),
    ],
)
def test_a_bundle_that_is_not_what_was_sent_is_refused(
    tmp_path: Path, damage: object, error: type[Exception], said: str
) -> None:
    """Else a job runs other code than the one that was planned."""
    send_bundle(LocalStore(), str(tmp_path), BUNDLE)
    damage(_place(tmp_path))  # type: ignore[operator]
    options = PipelineOptions(file="pipeline.py", prefix=str(tmp_path))
    with pytest.raises(error, match=said), unpacked(options, BUNDLE.name):
        pass


def test_bytes_that_are_no_zip_are_refused(tmp_path: Path) -> None:
    """Else a program of another kind ends in a traceback."""
    other = Bundle(b"no zip at all")
    send_bundle(LocalStore(), str(tmp_path), other)
    options = PipelineOptions(file="pipeline.py", prefix=str(tmp_path))
    with pytest.raises(StoreError, match="cannot unpack"), unpacked(options, other.name):
        pass


@pytest.mark.parametrize(
    "name", ["", "sha256:", "sha256:../../x", "sha256:" + "g" * 64, "md5:" + "0" * 64, "0" * 64]
)
def test_what_is_no_name_of_a_bundle_is_refused(tmp_path: Path, name: str) -> None:
    """Else a name leads out of the folder of bundles."""
    options = PipelineOptions(file="pipeline.py", prefix=str(tmp_path))
    with pytest.raises(UsageError, match="not the name of a bundle"), unpacked(options, name):
        pass


def test_a_bundle_without_a_prefix_is_refused() -> None:
    """Else it is looked for in the default folder of wherever the job starts."""
    with (
        pytest.raises(UsageError, match="none is given"),
        unpacked(PipelineOptions(file="pipeline.py"), BUNDLE.name),
    ):
        pass


@pytest.mark.parametrize("data", [None, b"other"])
def test_the_bundle_of_a_saved_plan_is_the_one_that_it_names(
    tmp_path: Path, data: bytes | None
) -> None:
    """Else what was reviewed is not what runs."""
    (tmp_path / "bundle.zip").write_bytes(BUNDLE.data)
    assert read_bundle(str(tmp_path), BUNDLE.name) == BUNDLE
    if data is None:
        (tmp_path / "bundle.zip").unlink()
    else:
        (tmp_path / "bundle.zip").write_bytes(data)
    with pytest.raises(StoppedError, match="not the bundle of code that the plan names"):
        read_bundle(str(tmp_path), BUNDLE.name)


def test_a_bundle_is_a_file_of_a_plan_directory_byte_for_byte() -> None:
    """Else the digest in plan.json is not that of the zip."""
    from marin_build.plan.plan_id import text_digest

    whole = Bundle(bytes(range(256)) * 3)
    assert whole.as_text.encode("utf-8", "surrogateescape") == whole.data
    assert f"sha256:{text_digest(whole.as_text)}" == whole.name


def test_the_modules_of_a_bundle_are_found_before_an_editable_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job on a node that sees the project loads half of its code from there."""
    installed = tmp_path / "env/lib/site-packages"
    for folder in (tmp_path / "project/src", installed):
        folder.mkdir(parents=True)
    path = ["/no/such/python.zip", sys.prefix, str(installed), str(tmp_path / "project/src")]
    monkeypatch.setattr(sys, "path", list(path))
    bundle = Bundle(zip_of([Entry("src/lm/__init__.py", b""), Entry("pipeline.py", b"")]))
    send_bundle(LocalStore(), str(tmp_path / "out"), bundle)
    options = PipelineOptions(file="pipeline.py", prefix=str(tmp_path / "out"))
    with unpacked(options, bundle.name) as found:
        assert sys.path == [*path[:3], f"{found.folder}/src", path[3]]
    assert sys.path == path
