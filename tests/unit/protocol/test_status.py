"""A status that is misread as SUCCESS feeds half an output to everything downstream."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import CorruptStateError
from marin_build.protocol.status import Status, parse_status

TOKENS = get_args(Status)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", "{}\n", " {} \n\n"])
def test_a_token_is_read_with_any_space_around_it(token: str, around: str) -> None:
    assert parse_status(around.format(token).encode(), "p") == token


@pytest.mark.parametrize("data", [None, b""], ids=["no file", "what a power cut left"])
def test_what_says_nothing_is_no_status(data: bytes | None) -> None:
    """Else after a power cut a person must write into each status file that is empty."""
    assert parse_status(data, "p") is None


def test_the_last_of_marins_lines_counts() -> None:
    lines = b'{"date": "1", "status": "SUCCESS"}\n{"date": "2", "status": "FAILED"}\n'
    assert parse_status(lines, "p") == "FAILED"


@pytest.mark.parametrize(
    "data",
    [
        b"\n", b"success", b"SUCCESS RUNNING", b"SUCC", b"\x00" * 7, b"\xff\xfe", b"null",
        b"[]", b'"SUCCESS"', b"{}", b'{"status": "DONE"}', b'{"status": null}', b'{"status": [1]}',
        b'{"status": "SUCCESS"}\n{"status": "RUNN', b'{"status": "\\ud800"}',
    ],
)  # fmt: skip
def test_anything_else_is_an_error_that_names_the_file_and_shows_it(data: bytes) -> None:
    with pytest.raises(CorruptStateError, match=r"`a/\.executor_status` is not readable") as caught:
        parse_status(data, "a/.executor_status")
    assert caught.value.consequence == "it does not count as a finished target"


@given(st.binary(max_size=40) | st.sampled_from(TOKENS).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        found = parse_status(data, "p")
    except CorruptStateError:
        return
    if found is None:
        assert not data
        return
    assert str(found) in TOKENS
    assert str(found).encode() in data
