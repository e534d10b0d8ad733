"""What a folder holds is names and bytes: neither orders, nor links, nor our notes may matter."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import SpecificationError
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import (
    Content,
    changed_files,
    content_of_files,
    read_content,
    read_digest,
)
from marin_build.pipeline.source_files import tree_line
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Entries = dict[str, str]
"""Path -> text; `->` before a text: a link to it; a path that ends with `/`: an empty folder."""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """An empty folder of a project in force, whose outputs lie elsewhere."""
    folder = tmp_path / "project" / "tree"
    folder.mkdir(parents=True)
    with in_workspace(Workspace(str(folder.parent), str(tmp_path / "out"))):
        yield folder


def _fill(folder: Path, entries: Entries) -> Source:
    for path, text in entries.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            (folder / path).mkdir(exist_ok=True)
        elif text.startswith("->"):
            (folder / path).symlink_to(text[2:])
        else:
            (folder / path).write_text(text)
    return Source("t", str(folder))


def _names(source: Source) -> list[str]:
    files = read_content(source).files
    assert files is not None
    return list(files)


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ({"real/a": "1", "alias": "->real"}, ["alias/a", "real/a"]),
        ({"a": "1", "b": "->a"}, ["a", "b"]),
        ({"v3/x": "3", "v4/x": "4", "latest": "->v3"}, ["latest/x", "v3/x", "v4/x"]),
        ({"r/x": "1", "one": "->two", "two": "->r"}, ["one/x", "r/x", "two/x"]),
        ({"a/x": "1", "a/up": "->."}, ["a/x"]),
        ({"a/x": "1", "a/b/up": "->../.."}, ["a/x"]),
        ({"a/x": "1", "b/a": "->../a", "b/y": "2"}, ["a/x", "b/a/x", "b/y"]),
        # Each leads to the other: both have the other's files, and end there.
        ({"a/x": "1", "b/y": "2", "a/b": "->../b", "b/a": "->../a"},
         ["a/b/y", "a/x", "b/a/x", "b/y"]),
        ({"a": "1", ".marin-build/digests/d": "ours", "x/.marin-build/y": "ours"}, ["a"]),
        ({"a": "1", ".marin-build": "a file of that name"}, [".marin-build", "a"]),
        ({"a": "1", "empty/": ""}, ["a"]),
    ],
)  # fmt: skip
def test_links_are_followed_by_name_in_whatever_order_a_folder_is_listed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, entries: Entries, names: list[str]
) -> None:
    """Else two machines with the same files disagree about what is built."""
    source = _fill(tree, entries)
    assert _names(source) == names
    expected, scandir = read_digest(source), os.scandir
    count = max(len(os.listdir(folder)) for folder, _, _ in os.walk(tree))
    for order in permutations(range(count)):

        @contextmanager
        def listed(folder: str, order: tuple[int, ...] = order) -> Any:
            with scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            yield [entries[i] for i in order if i < len(entries)]

        monkeypatch.setattr(os, "scandir", listed)
        assert read_digest(source) == expected
    monkeypatch.undo()


@pytest.mark.parametrize("links", [{"latest": "->v3"}, {"a/deep/latest": "->../../v3"}])
def test_a_link_that_leads_elsewhere_is_another_source(tree: Path, links: Entries) -> None:
    """`latest` moved from v3 to v4 was reused without a word, while v3 and v4 counted as well."""
    source = _fill(tree, {"v3/x": "3", "v4/x": "4", **links})
    before = read_content(source)
    (link,) = (tree / path for path in links)
    target = os.readlink(link)
    link.unlink()
    link.symlink_to(target.replace("v3", "v4"))
    now = read_content(source)
    assert now.digest != before.digest
    (path,) = links
    assert changed_files(before, now) == [f"{path}/x"]


@pytest.mark.parametrize(
    ("path", "leads_to", "include", "exclude", "counts"),
    [
        ("gone", "nowhere", ("**",), (), True),
        ("sub/gone", "/no/where", ("**",), (), True),
        ("gone", "gone", ("**",), (), True),  # in a circle
        ("shards", "nowhere", ("**/*.txt",), (), True),  # perhaps a folder of such files
        ("shards", "nowhere", ("*/*.txt",), (), True),
        ("sub/a.txt", "nowhere", ("*/a.*",), (), True),
        ("gone", "nowhere", ("*.txt",), (), False),
        ("gone", "nowhere", ("**",), ("gone",), False),
        ("sub/gone", "nowhere", ("**",), ("sub/**",), False),
        ("sub/gone", "nowhere", ("**",), ("**/gone",), False),
        ("sub/gone", "nowhere", ("kept*/**",), (), False),
    ],
)
def test_a_dangling_link_is_an_error_with_its_name(
    tree: Path, path: str, leads_to: str, include: tuple[str, ...], exclude: tuple[str, ...], *,
    counts: bool,
) -> None:  # fmt: skip
    """Files that vanish behind an unmounted disk must not look like files that were never there."""
    _fill(tree, {"kept.txt": "1", "kept/b": "2", path: f"->{leads_to}"})
    source = Source("t", str(tree), include, exclude)
    if not counts:
        read_digest(source)
        return
    with pytest.raises(SpecificationError) as caught:
        read_digest(source)
    assert f"`{path}` leads nowhere: to `{leads_to}`" in dict(caught.value.facts)["reason"]
    assert f'exclude=("{path}",)' in str(caught.value.hint)


@pytest.mark.parametrize("prefix", ["out", "deep/er/out", ".marin-build/outputs"])
def test_outputs_inside_a_source_are_no_part_of_it(tmp_path: Path, prefix: str) -> None:
    """`source(".")` could never be built: each attempt changed it."""
    (tmp_path / "a").write_text("1")
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / prefix))):
        source = Source(".", str(tmp_path))
        before = read_digest(source)
        _fill(tmp_path, {f"{prefix}/step_1a2b3c4d/x": "built", ".marin-build/runs/r/j": "note"})
        assert read_digest(source) == before
        # What an output holds can be a source itself.
        inside = Source("o", str(tmp_path / prefix / "step_1a2b3c4d"))
        assert _names(inside) == ["x"]


NAMES = ["a", "a\nb", "a\\nb", "a\\\nb", "\\", "\n", "x" * 64, "\udcff", "é", " ", "a  b"]


def test_no_name_can_look_like_another_tree(tree: Path) -> None:
    """A file name with a line break could forge the digest of a folder of two files."""
    digest = "ab" * 32
    forged = content_of_files({f"a\n{digest}  b": digest})
    assert forged.digest != content_of_files({"a": digest, "b": digest}).digest
    lines = [tree_line(digest, name) for name in NAMES]
    assert len(set(lines)) == len(NAMES)
    assert all(line.count(b"\n") == 1 for line in lines)


def test_a_folder_with_line_breaks_in_names_can_be_checked_with_sha256sum(tree: Path) -> None:
    source = _fill(tree, {"a\nb": "1", "c": "2"})
    script = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    found = subprocess.run(["sh", "-c", script], cwd=tree, capture_output=True, check=True)
    assert read_digest(source) == found.stdout.decode().split()[0]


def test_a_folder_that_cannot_be_listed_is_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _fill(tree, {"a": "1", "locked/b": "2"})
    scandir = os.scandir

    def listed(folder: str) -> Any:
        if folder.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(SpecificationError) as caught:
        read_digest(source)
    assert dict(caught.value.facts)["reason"] == f"Permission denied: `{tree}/locked/`"
    read_digest(Source("t", str(tree), exclude=("locked/**",)))  # not even looked into


def test_what_is_neither_file_nor_folder_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecificationError) as caught:
        read_digest(Source("p", str(tmp_path / "pipe")))
    assert dict(caught.value.facts)["reason"] == "it is neither a file nor a folder"


def test_the_files_that_changed_are_named() -> None:
    before, now = Content("1", {"a": "x", "b": "y", "c": "z"}), Content("2", {"a": "x", "b": "n"})
    assert changed_files(before, now) == ["b", "c"]
    assert changed_files(Content("1"), now) == []
