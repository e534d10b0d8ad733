"""Lines of a log: whole ones, with the time, however the output was cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marin_build.protocol.log_format import stamp, without_stamps
from marin_build.redaction import NOTHING_SECRET, Redactor
from marin_build.run_step.step_log import LONGEST, LogLines

NOW = 1_795_338_611.123
STAMP = b"2026-11-22T09:10:11.123Z "
SECRET = "s3cr3t-v4lu3"
REDACTOR = Redactor.of({"A_TOKEN": SECRET})


def test_a_line_begins_with_its_moment() -> None:
    """Else nobody knows whether a step hangs since a minute or a day."""
    assert stamp(NOW) == STAMP
    lines = LogLines(NOTHING_SECRET)
    assert lines.feed(b"one\ntwo\nthr", NOW) == STAMP + b"one\n" + STAMP + b"two\n"
    assert lines.feed(b"ee\n", NOW + 1) == stamp(NOW + 1) + b"three\n"
    assert lines.finish(NOW) == b""


def test_a_moment_just_before_a_second_is_not_the_1000th_millisecond() -> None:
    """Else a stamp has another length, and is not found again."""
    assert stamp(NOW + 0.8769) == b"2026-11-22T09:10:12.000Z "


def test_what_has_no_end_is_shown_after_a_second() -> None:
    """Else a question, or progress without a new line, is not seen until it is over."""
    lines = LogLines(NOTHING_SECRET)
    assert lines.due is None
    assert lines.feed(b"loading ...", NOW) == b""
    assert lines.due == NOW + 1
    assert lines.flush(NOW + 1) == stamp(NOW + 1) + b"loading ...\n"
    assert lines.due is None
    assert lines.feed(b" done\n", NOW + 2) == stamp(NOW + 2) + b" done\n"


def test_a_progress_bar_is_a_line_a_second() -> None:
    """Else the log of a download is a million lines of per cents."""
    lines = LogLines(NOTHING_SECRET)
    for percent in range(50):
        assert lines.feed(b"\r%d%%" % percent, NOW + percent / 100) == b""
    assert lines.flush(NOW + 1) == stamp(NOW + 1) + b"49%\n"
    assert lines.feed(b"\r99%\r100%\r\nnext\r\n", NOW) == STAMP + b"100%\n" + STAMP + b"next\n"


def test_a_line_without_end_is_cut() -> None:
    """Else a step that prints a gigabyte without a new line fills the memory."""
    lines = LogLines(NOTHING_SECRET)
    assert lines.feed(b"x" * LONGEST, NOW) == b""
    assert lines.feed(b"x", NOW) == STAMP + b"x" * (LONGEST + 1) + b"\n"


def test_a_secret_in_two_pieces_is_not_written() -> None:
    """Else a token is in the log because a buffer happened to be full within it."""
    first, second = SECRET[:5].encode(), SECRET[5:].encode()
    lines = LogLines(REDACTOR)
    written = lines.feed(b"token " + first, NOW) + lines.flush(NOW + 1)
    written += lines.feed(second + b"\n", NOW + 2)
    assert without_stamps(written) == b"token \n[A_TOKEN]\n"
    lines = LogLines(REDACTOR)
    written = lines.feed(b"x" * LONGEST + first, NOW) + lines.feed(second + b"\n", NOW)
    assert without_stamps(written) == b"x" * LONGEST + b"\n[A_TOKEN]\n"


printed = st.lists(
    st.one_of(
        st.binary(max_size=12).map(lambda data: data.replace(b"\r", b"")),
        st.sampled_from([b"\n", SECRET.encode(), SECRET[:4].encode(), SECRET[4:].encode()]),
    ),
    max_size=20,
)


@given(printed, st.lists(st.integers(1, 9), max_size=40))
def test_however_it_comes_the_log_is_the_same(pieces: list[bytes], sizes: list[int]) -> None:
    """Else the log depends on how large the system's buffers are."""
    text = b"".join(pieces)
    lines, written, rest = LogLines(REDACTOR), b"", text
    for size in sizes:
        written += lines.feed(rest[:size], NOW)
        rest = rest[size:]
    written += lines.feed(rest, NOW) + lines.finish(NOW)
    whole = text if text.endswith(b"\n") or not text else text + b"\n"
    expected = [STAMP + line for line in REDACTOR.clean(whole).split(b"\n")[:-1]]
    assert written.split(b"\n")[:-1] == expected
    assert SECRET.encode() not in written
