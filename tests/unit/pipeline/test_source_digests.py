"""A changed input must rebuild, whatever its times say; an unchanged one must not be read again."""

from __future__ import annotations

import hashlib
import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import SpecificationError
from marin_build.pipeline import source_digests
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import (
    digest_of,
    forget_digests,
    is_known,
    read_digest,
    remember_digest,
)
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Path]:
    """Put a project on disk in force: the cache of digests lives in it."""
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


class Clock:
    """The clock of the cache, and a count of the files that were read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.later, self.read = 0, list[str]()
        import time

        patch.setattr(
            source_digests, "time", SimpleNamespace(time_ns=lambda: time.time_ns() + self.later)
        )
        hash_file = source_digests._hash_file

        def counted(path: str) -> str:
            self.read.append(path)
            return hash_file(path)

        patch.setattr(source_digests, "_hash_file", counted)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


HOUR = 3600 * 10**9


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "a").write_bytes(data)
    assert read_digest(Source("a", str(tmp_path / "a"))) == hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_tree_can_be_checked_with_sha256sum(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path in ("b", "a/z", "a/c/d", "a-x", ".hidden"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    script = "find . -type f | sed 's|^\\./||' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    found = subprocess.run(["sh", "-c", script], cwd=tree, capture_output=True, check=True)
    assert read_digest(Source("tree", str(tree))) == found.stdout.decode().split()[0]


def test_patterns_say_which_files_count(tmp_path: Path) -> None:
    for path in ("a.py", "b/c.py", "b/c.txt", "b/skip.py"):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(path)
    selected = Source("t", str(tmp_path / "tree"), ("**/*.py",), ("**/skip.*",))
    before = read_digest(selected)
    (tmp_path / "tree/b/c.txt").write_text("changed")
    (tmp_path / "tree/b/skip.py").unlink()
    assert read_digest(selected) == before
    (tmp_path / "tree/b/c.py").rename(tmp_path / "tree/b/d.py")
    assert read_digest(selected) != before


def test_a_move_of_the_project_changes_nothing(tmp_path: Path) -> None:
    found = []
    for place in ("here", "there/deeper"):
        folder = tmp_path / place / "data"
        folder.mkdir(parents=True)
        (folder / "a").write_text("same")
        found.append(read_digest(Source("data", str(folder))))
    assert found[0] == found[1]


def test_a_linked_folder_counts_like_any_other(tmp_path: Path) -> None:
    """Its files are what the step reads; left out, their changes would rebuild nothing."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a").write_text("one")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "own").write_text("x")
    (tmp_path / "tree" / "linked").symlink_to(tmp_path / "shared")
    before = read_digest(Source("t", str(tmp_path / "tree")))
    (tmp_path / "shared" / "a").write_text("two")
    assert read_digest(Source("t", str(tmp_path / "tree"))) != before


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "its patterns select no file"),
        (lambda path: path.symlink_to("nowhere"), "no such file or folder"),
    ],
)
def test_a_source_that_is_not_there_is_an_error_with_its_place(
    tmp_path: Path, make: object, reason: str
) -> None:
    assert callable(make)
    make(tmp_path / "x")
    with pytest.raises(SpecificationError) as caught:
        read_digest(Source("x", str(tmp_path / "x"), declared="p.py:3"))
    assert reason in dict(caught.value.facts)["reason"]
    assert dict(caught.value.facts)["declared"] == "p.py:3"


def test_a_remote_source_is_not_read_behind_the_planners_back() -> None:
    remote = Source("x", "gs://bucket/x")
    with pytest.raises(SpecificationError, match="cannot read the source"):
        digest_of(remote)
    remember_digest(remote, "d1")
    assert digest_of(remote) == "d1"


def test_identity_is_fixed_when_the_pipeline_is_loaded(tmp_path: Path) -> None:
    """A file that changes while we plan must not give two steps two opinions of it."""
    file = tmp_path / "a"
    file.write_text("one")
    declared = Source("a", str(file))
    assert not is_known(declared)
    before = digest_of(declared)
    file.write_text("two")
    assert is_known(declared)
    assert digest_of(declared) == before
    assert read_digest(declared) != before
    forget_digests()
    assert digest_of(declared) != before


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    clock.later = HOUR
    assert read_digest(Source("a", str(file))) == read_digest(Source("a", str(file)))
    assert clock.read == [str(file)]


def test_a_file_modified_just_before_it_was_hashed_is_read_again(
    tmp_path: Path, clock: Clock
) -> None:
    """Within the resolution of the times it could change once more without them telling."""
    file = tmp_path / "a"
    file.write_text("one")
    read_digest(Source("a", str(file)))
    read_digest(Source("a", str(file)))
    assert clock.read == [str(file)] * 2


def _rewrite(file: Path) -> None:
    """Write other bytes, of the same length, and set the time back."""
    file.write_text("two")
    os.utime(file, ns=(0, 10**9))


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("two"),
        _rewrite,
        lambda file: (file.with_name("b").write_text("two"), file.with_name("b").replace(file)),
        lambda file: file.write_text("longer"),
    ],
)
def test_a_changed_file_is_noticed_even_with_its_old_size_and_time(
    tmp_path: Path, clock: Clock, change: object
) -> None:
    assert callable(change)
    file = tmp_path / "a"
    file.write_text("one")
    os.utime(file, ns=(0, 10**9))
    clock.later = HOUR
    before = read_digest(Source("a", str(file)))
    change(file)
    assert read_digest(Source("a", str(file))) != before


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"": 3}', '{"": ["d"]}'])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, clock: Clock, content: str) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    clock.later = HOUR
    right = read_digest(Source("a", str(file)))
    (cache,) = (tmp_path / ".marin-build" / "digests").iterdir()
    cache.write_text(content)
    assert read_digest(Source("a", str(file))) == right


def test_a_project_that_cannot_be_written_to_can_still_be_planned(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / ".marin-build").write_text("a file in the way")
    (tmp_path / "a").write_text("one")
    clock.later = HOUR
    expected = hashlib.sha256(b"one").hexdigest()
    assert read_digest(Source("a", str(tmp_path / "a"))) == expected
