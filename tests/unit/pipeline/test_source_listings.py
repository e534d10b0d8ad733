"""Of a folder of 300 files with one changed, a plan names that one."""

from __future__ import annotations

import hashlib

import pytest

from marin_build.pipeline.source_digests import Content, content_of_files
from marin_build.pipeline.source_listings import changed_in_words, files_listed, listing_of

NAMES = ["a", "a b", "a\nb", "a\\nb", "\\a\nb", "sub/x", "é", "\udcff", "a  b", "\r", "x" * 200]


def test_a_listing_is_the_text_whose_digest_the_folder_has() -> None:
    content = content_of_files({name: f"{i:064x}" for i, name in enumerate(NAMES)})
    data = listing_of(content)
    assert data is not None
    assert hashlib.sha256(data).hexdigest() == content.digest
    assert files_listed(data) == content.files


@pytest.mark.parametrize(
    "content",
    [
        Content("d"),
        Content("d", {"": "d"}),
        Content("d", {f"{i:0200}": "d" * 64 for i in range(5000)}),
    ],
)
def test_what_has_no_files_or_too_many_has_no_listing(content: Content) -> None:
    assert listing_of(content) is None


@pytest.mark.parametrize("data", [b"", b"\n\n", b"no line", b"\xff\xfe", b"{}"])
def test_a_damaged_listing_names_nothing(data: bytes) -> None:
    assert files_listed(data) == {}


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"a": "1"}, {"a": "2"}, "a changed"),
        ({"a": "1"}, {"a": "1", "b": "1"}, "b added"),
        ({"a": "1", "b": "1"}, {"b": "1"}, "a removed"),
        ({"a": "1", "b": "1"}, {"b": "2", "c": "1"}, "a removed, b changed and 1 more"),
        ({str(i): "1" for i in range(300)}, {}, "0 removed, 1 removed and 298 more"),
        ({"a": "1"}, {"a": "1"}, ""),
    ],
)
def test_what_became_of_files_is_told_in_one_line(
    before: dict[str, str], now: dict[str, str], words: str
) -> None:
    assert changed_in_words(before, now) == words
