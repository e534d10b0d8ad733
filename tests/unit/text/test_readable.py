"""Amounts that people read: one unit, no digit too many, and nothing shown as nothing."""

from __future__ import annotations

import pytest

from marin_build.text.readable import bytes_text, cost_text, duration_text, first_line


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.01, "<0.1 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (40, "40 s"),
        (59.7, "1 min"),
        (90, "1.5 min"),
        (719, "12 min"),
        (3590, "1 h"),
        (7560, "2.1 h"),
        (9 * 3600, "9 h"),
        (71.4 * 3600, "71 h"),
        (71.6 * 3600, "3 d"),
        (108 * 3600, "4.5 d"),
        (4e9, "46,296 d"),
    ],
)
def test_durations_for_people(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (0, "$0.00"),
        (0.001, "<$0.01"),
        (0.38, "$0.38"),
        (9.996, "$10"),
        (38.2, "$38"),
        (2409.6, "$2,410"),
    ],
)
def test_costs_for_people(cost: float, expected: str) -> None:
    assert cost_text(cost) == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (10_190, "10 KiB"),
        (442_381_631_488, "412 GiB"),
    ],
)
def test_bytes_for_people(size: int, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize("text", ["x" * 1_000_000, "x" * 501, "\x1b" * 400_000])
def test_a_long_line_is_shown_in_part(text: str) -> None:
    """Else a message of a megabyte fills the terminal."""
    shown = first_line(text)
    assert len(shown) < 600
    assert "characters left out" in shown


def test_a_short_line_is_shown_whole() -> None:
    assert first_line("a\nb") == "a"
    assert first_line("") == first_line("\n") == ""
    assert first_line("x" * 500) == "x" * 500
