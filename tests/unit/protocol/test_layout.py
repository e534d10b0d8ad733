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
