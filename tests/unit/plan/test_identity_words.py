"""Words that name one identity: which they are, and which belong to the pipeline."""

from __future__ import annotations

import pytest

from marin_build.plan.identity_words import IdentityWord, identity_word


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("report_da69ccbb", IdentityWord("report", None)),
        ("data/tok_a_da69ccbb", IdentityWord("data/tok_a", None)),
        ("raw/dclm-1a2b3c", IdentityWord("raw/dclm", None)),
        ("report@latest", IdentityWord("report", "latest")),
        ("data/tok@r-1a2b", IdentityWord("data/tok", "r-1a2b")),
        ("report@2026.03", IdentityWord("report", "2026.03")),
    ],
)
def test_an_identity_is_named_by_hash_version_run_or_latest(word: str, named: IdentityWord) -> None:
    """Else a user cannot say which of the builds of a name he means."""
    assert identity_word(word) == named


@pytest.mark.parametrize(
    "word",
    ["report", "report_DA69CCBB", "+report_da69ccbb", "^a@latest", "a@b@c", "a@", "@b", "a/../b@c",
     "../x_da69ccbb", "tag:x", "a,b_da69ccbb", "a@b\n", "\x1b_da69ccbb", "status:failed@x"],
)  # fmt: skip
def test_other_words_are_selectors(word: str) -> None:
    """Else a selector, or a word that leads out of the prefix, would be looked up as a folder."""
    assert identity_word(word) is None


def test_latest_and_runs_are_told_from_versions() -> None:
    """Else `report@r-1a2b` would ask for a version of that name only."""
    assert [IdentityWord("a", w).is_latest for w in ("latest", "r-1", None)] == [True, False, False]
    words = ("r-1a2b3c4d", "a-0", "latest", "2026.03", "r-1a2b3c4d5", None)
    assert [IdentityWord("a", w).is_run for w in words] == [True, True] + 4 * [False]
