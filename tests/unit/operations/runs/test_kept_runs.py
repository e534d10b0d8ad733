"""Whether a run without an end goes on is said only where it can be known."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.apply.journal import Header
from marin_build.operations.loading.place import Place
from marin_build.operations.runs.kept_runs import KeptRun, _judged, read_runs
from marin_build.protocol.lease import Host, process_start
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob

RUN = KeptRun("r-0123abcd", "unfinished")
HERE = Host("ada@laptop", "boot-2")
NODE = os.uname().nodename
MINE, SINCE = os.getpid(), process_start(os.getpid())


def header(worker: str, boot: str, *, pid: int = MINE, start: int = SINCE) -> Header:
    return Header("r-0123abcd", worker, pid, "0.1.0", boot, start)


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (header("ada@laptop", "boot-2"), "running"),
        (header("ada@laptop", "boot-2", start=SINCE + 1), "died"),
        (header("ada@laptop", "boot-2", pid=1 << 22), "died"),
        (header(f"ada@{NODE}", "boot-1"), "died"),
        (header(f"ada@{NODE}", "boot-2/4026532000"), "unfinished"),
        (header("ada@tpu-7", "boot-1"), "unfinished"),
        (header(f"ada@{NODE}", ""), "unfinished"),
        (header(f"ada@{NODE}", "boot-2", pid=0), "unfinished"),
        (None, "unfinished"),
    ],
    ids=["lives", "id given away", "gone", "rebooted", "another container", "another machine",
         "older journal", "no process", "no journal"],
)  # fmt: skip
def test_a_process_tells_on_its_own_machine(head: Header | None, outcome: str) -> None:
    judged = _judged(RUN, head, HERE)
    assert judged.outcome == outcome
    assert judged.why


def test_a_machine_that_does_not_tell_its_boot_tells_nothing() -> None:
    assert _judged(RUN, header("ada@laptop", "boot-2"), Host("ada@laptop", "")).outcome == (
        "unfinished"
    )


def test_few_journals_are_in_memory_at_once() -> None:
    """Else listing a hundred long runs takes as much memory as all their journals."""
    asked: list[int] = []

    class Bucket(MemoryStore):
        def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
            asked.append(len(paths))
            return super().get_many(paths)

    place = Place("/project", "gs://b/out", Bucket())
    ids = [f"r-{number:08x}" for number in range(50)]
    assert [run.id for run in read_runs(place, dict.fromkeys(ids), whole=False)] == ids
    assert max(asked) < 20
