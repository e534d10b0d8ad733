"""The file of a log: bounded, and never in the way of the step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.protocol.log_format import stamp, without_stamps
from marin_build.redaction import NOTHING_SECRET
from marin_build.run_step.step_log import StepLog, add_line

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 4000


def test_nothing_printed_makes_no_file(tmp_path: Path) -> None:
    """Else a thousand silent steps leave a thousand empty files."""
    log = StepLog(str(tmp_path / "a.log"), NOTHING_SECRET)
    log.write(b"")
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_not_written_through_a_link_that_takes_the_place_of_its_folder(
    tmp_path: Path,
) -> None:
    """A step puts a link to another output in the place of its own, and then prints."""
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other/a.log").write_text("other")
    log = StepLog(str(tmp_path / "mine/a.log"), NOTHING_SECRET)
    (tmp_path / "mine").rmdir()
    (tmp_path / "mine").symlink_to("other")
    log.write(b"printed\n")
    log.close()
    assert (tmp_path / "other/a.log").read_text() == "other"


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    """Else a step that prints for a week fills the disk; or its last words are missing."""
    path = tmp_path / "a.log"
    log = StepLog(str(path), NOTHING_SECRET, LIMIT, lambda: 0.0)
    for i in range(1000):
        log.write(b"line %d\n" % i)
        assert path.stat().st_size <= LIMIT
    log.close()
    lines = without_stamps(path.read_bytes()).decode().splitlines()
    assert lines[0] == "line 0"
    assert lines[-1] == "line 999"
    (note,) = [line for line in lines if "cut out" in line]
    at = lines.index(note)
    assert note.endswith(f"the log grew over {LIMIT} bytes")
    assert lines[:at] == [f"line {i}" for i in range(at)]
    last = lines[at + 1 :]
    assert last == [f"line {i}" for i in range(1000 - len(last), 1000)]
    assert at > 10
    assert len(last) > 10


def test_a_log_of_an_earlier_writer_is_gone_on_with(tmp_path: Path) -> None:
    """Else what the child wrote before is lost."""
    path = tmp_path / "a.log"
    add_line(str(path), "before", 0.0)
    log = StepLog(str(path), NOTHING_SECRET, clock=lambda: 1.0)
    log.write(b"after")
    log.close()
    assert path.read_bytes() == stamp(0.0) + b"before\n" + stamp(1.0) + b"after\n"


def test_a_line_is_flushed_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    """Else every piece of output is a line of its own; or none is seen."""
    now = [0.0]
    path = tmp_path / "a.log"
    log = StepLog(str(path), NOTHING_SECRET, clock=lambda: now[0])
    log.write(b"loading")
    log.flush()
    assert not path.exists()
    assert log.due == 1.0
    now[0] = 1.0
    log.flush()
    assert path.read_bytes() == stamp(1.0) + b"loading\n"
    log.close()


def test_a_disk_that_is_full_does_not_end_the_step(tmp_path: Path) -> None:
    """Else a week of training is lost for a line of its log."""
    os.symlink("/dev/full", tmp_path / "a.log")
    log = StepLog(str(tmp_path / "a.log"), NOTHING_SECRET)
    log.write(b"one\n")
    log.write(b"two\n")
    log.close()
    gone = StepLog(str(tmp_path / "nowhere" / "a.log"), NOTHING_SECRET)
    gone.write(b"one\n")
    gone.close()
    assert not (tmp_path / "nowhere").exists()
