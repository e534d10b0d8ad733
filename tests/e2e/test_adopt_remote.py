"""Adopting data in a bucket, through the real gcsfs and over HTTP; and dying in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.servers.faults import Faults
from tests.servers.gcs import GcsServer

from .test_remote_stores import BUCKET, REMOTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.faults import Call, Loss

    from .support import Done, Project

PLACE = f"gs://{BUCKET}/old/dclm base"
WRITES = 7
"""Lease, RUNNING, attempt, seal, record, SUCCESS, release."""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket with data that somebody put there by other means."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def remote(project: Project, server: GcsServer) -> Project:
    """The diamond of steps that write through fsspec; a corpus of five lines is in the bucket."""
    project.build_in_bucket(server.url, f"gs://{BUCKET}/run")
    project.write("gate.py", "def wait_at_gate(word):\n    pass\n")
    project.pipeline(REMOTE)
    for name, data in _DATA.items():
        _put(server, f"old/dclm base/{name}", data)
    return project


_DATA = {
    "text.txt": b"line\n" * 5,
    "parts/0": b"x",
    ".artifact.json": b'{"lines": 5}',
    ".executor_status": b'{"date": "2025-05-01T00:00:00", "status": "SUCCESS", "message": null}\n',
}


def _put(server: GcsServer, name: str, data: bytes) -> None:
    import urllib.parse
    import urllib.request

    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    url = f"{server.url}/upload/storage/v1/b/{BUCKET}/o?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, data, method="POST")) as answer:
        assert answer.status == 200


def _place(server: GcsServer) -> dict[str, tuple[bytes, int]]:
    """Return what lies at the place, with generations."""
    stored = server.api.buckets.objects(BUCKET)
    return {name: (o.data, o.generation) for name, o in stored.items() if name.startswith("old/")}


def _asked_of_place(server: GcsServer) -> Counter[str]:
    """Return how often each method was used on objects or listings of the place."""
    found: Counter[str] = Counter()
    for call in server.calls:
        named = [unquote(call.path), call.query.get("name", ""), call.query.get("prefix", "")]
        if any("old/" in text for text in named):
            found[f"{call.method} {'list' if 'prefix' in call.query else 'object'}"] += 1
    return found


def _report(server: GcsServer) -> bytes:
    (found,) = [
        stored.data
        for name, stored in server.api.buckets.objects(BUCKET).items()
        if name.endswith("/report.txt")
    ]
    return found


def _adopt(remote: Project) -> Done:
    return remote.run("adopt", "corpus", "--from", PLACE, "--json")


def test_data_in_a_bucket_is_read_where_it_lies(remote: Project, server: GcsServer) -> None:
    """Else terabytes are copied, or built again, because their folder has the wrong name."""
    before = _place(server)
    server.calls.clear()
    done = _adopt(remote)
    assert (done.code, done.err) == (0, ""), done
    assert (done.document["files"], done.document["bytes"]) == (2, 26)
    asked = _asked_of_place(server)
    assert {key.partition(" ")[0] for key in asked} == {"GET"}
    assert asked["GET list"] == 1
    server.calls.clear()
    done = remote.run("apply")
    assert (done.code, done.err) == (0, ""), done
    assert _report(server) == b"5 10 of 5"
    asked = _asked_of_place(server)
    assert {key.partition(" ")[0] for key in asked} == {"GET"}
    # One listing is ours; the others are gcsfs's, of steps that open a file there.
    assert _ran(remote) == {"left": 1, "right": 1, "report": 1}
    assert _place(server) == before
    server.calls.clear()
    assert remote.run("apply").out.startswith("nothing to do: 4 targets are reused\n")
    assert len(server.calls) == 3, "taints, a status and a record, as without adopted data"


def test_a_place_is_listed_once_however_many_read_it(remote: Project, server: GcsServer) -> None:
    """Else the listing of a million files is paid by every step."""
    assert _adopt(remote).code == 0
    remote.pipeline(
        REMOTE.replace('    found = read(f"{corpus}/text.txt").count("line") * times\n', "")
        .replace("str(found)", "str(times)")
        .replace("return found", "return times")
    )
    server.calls.clear()
    assert remote.run("apply", "left", "right").code == 0
    assert _asked_of_place(server) == {"GET list": 1}


def test_what_is_missing_in_the_bucket_stops_what_reads_it(
    remote: Project, server: GcsServer
) -> None:
    """Else a step of a thousand dollars runs on what a lifecycle rule left."""
    assert _adopt(remote).code == 0
    del server.api.buckets.objects(BUCKET)["old/dclm base/parts/0"]
    done = remote.run("apply")
    assert done.code == 5, done
    assert "is not what it was: `parts/0` is missing" in done.out
    assert f"put back what was at `{PLACE}`" in done.err
    assert not (remote.root / "ran.txt").exists()


def test_a_local_folder_for_a_bucket_warns(remote: Project) -> None:
    """Else the job fails on the cluster, where nobody has that folder."""
    remote.write("here/text.txt", "line\n")
    done = remote.run("adopt", "corpus", "--from", "here")
    assert done.code == 0
    assert done.err == f"warning: `{remote.root}/here` is on this machine: no other can read it\n"


class Killing(Faults):
    """Does a write that was asked for, but first kills who asked, at the so-many-th time."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.writes = number, 0
        self.pids: queue.SimpleQueue[int] = queue.SimpleQueue()

    def strike(self, call: Call) -> int | Loss | None:
        """Count a write, and strike at the one that was asked for."""
        self.writes += call.method != "GET"
        if call.method != "GET" and self.writes == self.number:
            pid = self.pids.get()
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # the test that waits reaped it first
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return None


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_killed_at_any_write_adopting_again_finishes(
    remote: Project, server: GcsServer, number: int
) -> None:
    """Else a laptop that is closed leaves a target that can neither be adopted nor built."""
    before = _place(server)
    killing = Killing(number)
    server.faults, calm = killing, server.faults
    killed = remote.start("adopt", "corpus", "--from", PLACE)
    killing.pids.put(killed.pid)
    assert killed.wait().code == -signal.SIGKILL
    assert killing.writes == number
    server.faults = calm
    is_sealed = number >= 4
    if is_sealed:  # committed: whoever comes next publishes it, and reads where it lies
        done = remote.run("apply", "left")
        assert (done.code, done.err) == (0, ""), done
        assert _ran(remote) == {"left": 1}
    done = _adopt(remote)
    assert (done.code, done.err) == (0, ""), done
    assert done.document["already"] is is_sealed
    _assert_it_is_read(remote, server, by_steps=number == 1)
    assert _place(server) == before
    assert not [n for n in server.api.buckets.objects(BUCKET) if n.endswith(".lock")]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_killed_where_the_data_lies_it_is_not_called_unfinished(
    remote: Project, server: GcsServer, number: int
) -> None:
    """Else a killed `adopt` makes data look like half an output, and only `--force` helps."""
    (target,) = remote.run("plan", "corpus", "--json").document["decisions"]
    folder = target["output_path"].removeprefix(f"gs://{BUCKET}/")
    _put(server, f"{folder}/text.txt", _DATA["text.txt"])
    _put(server, f"{folder}/.artifact.json", b'{"lines":    5}')
    killing = Killing(number)
    server.faults, calm = killing, server.faults
    killed = remote.start("adopt", "corpus")
    killing.pids.put(killed.pid)
    assert killed.wait().code == -signal.SIGKILL
    server.faults = calm
    done = remote.run("adopt", "corpus")
    assert (done.code, done.err) == (0, ""), done
    _assert_it_is_read(remote, server, by_steps=number == 3)
    kept = server.api.buckets.objects(BUCKET)[f"{folder}/.artifact.json"].data
    assert kept == b'{"lines":    5}'


def _assert_it_is_read(remote: Project, server: GcsServer, *, by_steps: bool) -> None:
    """Check that the corpus is reused; to have steps read it takes as long as all the rest."""
    if by_steps:
        assert remote.run("apply").code == 0
        assert _report(server) == b"5 10 of 5"
    else:
        assert remote.plan()["corpus"] == "reuse"


def _ran(project: Project) -> Counter[str]:
    return Counter(project.file("ran.txt").split())


def test_the_record_is_what_the_reference_says(remote: Project, server: GcsServer) -> None:
    """Else nobody can tell later whose data a model rests on."""
    assert remote.run("adopt", "corpus", "--from", PLACE, "--reason", "of May").code == 0
    (data,) = [
        stored.data
        for name, stored in server.api.buckets.objects(BUCKET).items()
        if name.endswith("/.executor_info")
    ]
    record = json.loads(data)
    assert record["adopted_from"] == PLACE
    assert (record["note"], record["files"], record["bytes"]) == ("of May", 2, 26)
    assert (record["fn"], record["code_digest"]) == ("pipeline.corpus", None)
