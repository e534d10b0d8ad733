"""The names beside an output are a contract with Marin and with every older version of us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.protocol import layout


def test_the_names_that_marin_knows() -> None:
    assert (layout.STATUS, layout.LEASE, layout.RECORD, layout.ARTIFACT, layout.LOGS) == (
        ".executor_status",
        ".executor_status.lock",
        ".executor_info",
        ".artifact.json",
        ".logs",
    )
    assert layout.attempt_path("gs://b/a_1", 7) == "gs://b/a_1/.logs/attempt-0007.json"
    assert layout.log_path("gs://b/a_1", 12345) == "gs://b/a_1/.logs/attempt-12345.log"


@given(st.integers(1, 10**6))
def test_the_number_of_an_attempt_is_read_back(number: int) -> None:
    assert layout.attempt_number(layout.attempt_name(number)) == number


@pytest.mark.parametrize(
    "name", ["attempt-0001.log", "attempt-.json", "attempt-x.json", "0001.json", "attempt-1.json~"]
)
def test_other_files_are_no_attempts(name: str) -> None:
    assert layout.attempt_number(name) is None


_SEGMENT = st.text("ab_-.1", min_size=1, max_size=4)
_NAMES = st.lists(_SEGMENT, min_size=1, max_size=3).map("/".join)


@given(_NAMES, st.from_regex(r"[0-9a-f]{8}", fullmatch=True), _SEGMENT)
def test_the_folder_of_an_output_tells_whose_it_is(name: str, digits: str, version: str) -> None:
    """Else `gc` deletes, and `ls` shows, an output under the name of another."""
    for target in (f"{name}_{digits}", f"{name}@{version}", f"{name}@{version}_{digits}"):
        inside = layout.output_under("", name, target).removeprefix("/")
        assert layout.target_under(inside, target) == (name, target)
    assert layout.target_under("a/b_1a2b3c4d") == ("a/b", "a/b_1a2b3c4d"), "nothing there tells"
    assert layout.target_under("a") == ("a", "a")
