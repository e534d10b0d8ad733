"""Moments in documents: one form, so that they can be compared as texts for years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from marin_build.text.moments import moment_text, stamp, stamp_now

SECONDS = 1_795_338_611.123
WRITTEN = "2026-11-22T09:10:11.123+00:00"


def test_a_moment_is_written_in_utc_whatever_its_zone() -> None:
    """Else records of two machines are not in the order in which they were made."""
    assert stamp(SECONDS) == WRITTEN
    east = timezone(timedelta(hours=5, minutes=30))
    assert stamp(datetime.fromtimestamp(SECONDS, east)) == WRITTEN
    assert stamp(SECONDS, "seconds") == "2026-11-22T09:10:11+00:00"


def test_now_is_written_alike() -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert stamp(before) < stamp_now() < stamp(before + timedelta(minutes=5))
    assert len(stamp_now("seconds")) == len("2026-11-22T09:10:11+00:00")


def test_people_read_its_zone() -> None:
    """Else a reader in another time zone takes 13:02 of a record as local time."""
    assert moment_text(WRITTEN) == "2026-11-22 09:10:11 UTC"
    assert moment_text(WRITTEN, "minutes") == "2026-11-22 09:10 UTC"
    assert moment_text("") == ""
