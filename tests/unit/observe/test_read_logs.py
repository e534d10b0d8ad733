"""A log that is followed: every byte once, and an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.observe.read_logs import copy_log

if TYPE_CHECKING:
    from pathlib import Path


class Writer:
    """Somebody who writes to a log, a piece each time the follower waits."""

    def __init__(self, path: Path, *pieces: bytes) -> None:
        self.path, self.pieces, self.got = path, list(pieces), b""

    def write(self, data: bytes) -> None:
        self.got += data

    def wait(self) -> None:
        with self.path.open("ab") as stream:
            stream.write(self.pieces.pop(0))

    def is_over(self) -> bool:
        """Say so when there is one piece more: it is written just after the question."""
        if len(self.pieces) == 1:
            self.wait()
        return not self.pieces


def _follow(writer: Writer) -> bytes:
    copy_log(lambda: str(writer.path), writer.is_over, writer.write, writer.wait)
    return writer.got


def test_all_of_a_log_is_copied_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0")
    assert _follow(Writer(path, b"1\n", b"2\xff" * 100_000, b"3")) == (
        b"01\n" + b"2\xff" * 100_000 + b"3"
    )


def test_a_log_may_begin_later(tmp_path: Path) -> None:
    assert _follow(Writer(tmp_path / "log", b"1", b"2", b"3")) == b"123"


def test_an_attempt_that_printed_nothing_ends_too(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log")
    assert _follow(writer) == b""
