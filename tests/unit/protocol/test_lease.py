"""The lock file: read by Marin's own workers, and the only thing between two builders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import CorruptStateError
from marin_build.protocol.lease import (
    FOREIGN_TIME_TO_LIVE,
    TIME_TO_LIVE,
    Host,
    Lease,
    parse_lease,
    process_start,
    this_host,
)

_WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6)
_NUMBER = st.integers(0, 2**40)
LEASES = st.builds(
    Lease, _WORD, st.floats(0, 2e9), run=_WORD, attempt=_NUMBER, nonce=_WORD,
    boot=_WORD | st.just(""), pid=_NUMBER, start=_NUMBER, seal=_WORD | st.just(""),
    since=st.floats(0, 2e9), ttl=st.just(0.0) | st.floats(0.1, 1e6),
)  # fmt: skip
OURS = Lease("ada@host", 5.0, run="r-1", attempt=2, nonce="n1", boot="b", pid=7, start=9)


@given(LEASES)
def test_a_lease_is_read_as_it_was_written(lease: Lease) -> None:
    assert parse_lease(lease.encode(), "p") == lease


@given(LEASES)
def test_marin_finds_its_two_keys_and_no_other(lease: Lease) -> None:
    document = json.loads(lease.encode())
    assert set(document) == {"worker_id", "timestamp"}
    assert document["worker_id"].split(" ")[0] == lease.worker
    assert document["timestamp"] == lease.timestamp


def test_a_lock_that_marin_wrote_is_a_lease_of_somebody_else() -> None:
    lease = parse_lease(b'{"worker_id": "host-3-17 x=1", "timestamp": 12}', "p")
    assert lease == Lease("host-3-17 x=1", 12.0)
    assert not lease.is_sealed
    assert (lease.time_to_live, OURS.time_to_live) == (FOREIGN_TIME_TO_LIVE, TIME_TO_LIVE)
    assert replace(OURS, ttl=3.0).time_to_live == 3.0


def test_renewing_and_sealing_keep_the_holder() -> None:
    assert OURS.renewed(6.0) == replace(OURS, timestamp=6.0)
    sealed = OURS.sealed("d1", 7.0)
    assert sealed == replace(OURS, seal="d1", timestamp=7.0)
    assert (OURS.is_sealed, sealed.is_sealed) == (False, True)
    assert OURS.describe() == "ada@host, run r-1, attempt 2"
    assert Lease("ada", 1.0).describe() == "ada"


def test_a_lease_says_since_when_it_is_held_however_often_it_was_renewed() -> None:
    """Else nobody sees that a step runs for two days."""
    taken = replace(OURS, since=60.5)
    assert parse_lease(taken.renewed(120.0).encode(), "p").taken_at == "1970-01-01T00:01:00+00:00"
    assert OURS.taken_at == "", "one of an earlier version does not say"


def test_an_empty_lock_file_has_a_holder_that_is_not_known() -> None:
    """Else a power cut blocks a target for ever; and Marin may be writing it just now."""
    lease = parse_lease(b"", "p")
    assert (lease.nonce, lease.time_to_live) == ("", 90.0)
    assert not lease.is_sealed
    assert lease.describe() == "a_holder_whose_lease_is_empty"


@pytest.mark.parametrize(
    "data",
    [
        b"{", b"[]", b"null", b"{}", b'{"worker_id": "a"}', b"\xff",
        b'{"worker_id": "a", "timestamp": "soon"}', b'{"worker_id": "a", "timestamp": null}',
        b'{"worker_id": "a nonce=1 attempt=x", "timestamp": 1}',
        b'{"worker_id": "a nonce=1 pid=", "timestamp": 1}',
        b'{"worker_id": "a nonce=1 since=nan", "timestamp": 1}',
        b'{"worker_id": "a nonce=1 ttl=inf", "timestamp": 1}',
        b'{"worker_id": "a", "timestamp": -1}',
        b'{"worker_id": "a", "timestamp": 1e300}',
        b'{"worker_id": "a", "timestamp": NaN}',
        b'{"worker_id": "a nonce=1 ttl=nan", "timestamp": 1}',
        b'{"worker_id": "a nonce=1 ttl=-1", "timestamp": 1}',
        b'{"worker_id": "a", "timestamp": 1' + b"0" * 400 + b"}",
    ],
    ids=lambda data: data.decode("latin-1")[:50],
)  # fmt: skip
def test_a_lock_that_cannot_be_read_is_an_error_that_names_the_file(data: bytes) -> None:
    with pytest.raises(CorruptStateError, match=r"`a/\.lock` is not readable") as caught:
        parse_lease(data, "a/.lock")
    assert caught.value.consequence == "another run may hold this target"


HOST = this_host("ada", "host")


def _of_process(pid: int, start: int) -> Lease:
    return replace(OURS, boot=HOST.boot, pid=pid, start=start)


needs_proc = pytest.mark.skipif(not HOST.boot, reason="this system does not tell its processes")


@needs_proc
def test_a_living_holder_of_this_host_is_not_gone() -> None:
    mine = process_start(os.getpid())
    assert mine > 0
    assert not HOST.is_gone(_of_process(os.getpid(), mine))


@needs_proc
def test_a_holder_that_ended_is_gone_and_so_is_one_whose_number_was_given_away() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    start = process_start(ended.pid)
    ended.wait()
    assert HOST.is_gone(_of_process(ended.pid, start))
    assert HOST.is_gone(_of_process(os.getpid(), process_start(os.getpid()) + 1))


@needs_proc
def test_a_dead_process_that_nobody_has_waited_for_is_gone() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as dead:
        start = process_start(dead.pid)
        dead.kill()
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it ended, and stays a zombie
        assert process_start(dead.pid) == -1
        assert HOST.is_gone(_of_process(dead.pid, start))


@pytest.mark.parametrize(
    ("host", "lease"),
    [
        (Host("a", "b1"), replace(OURS, boot="b2", pid=2**22 + 1)),
        (Host("a", ""), replace(OURS, boot="", pid=2**22 + 1)),
        (Host("a", "b1"), replace(OURS, boot="b1", pid=0)),
        (Host("a", "b1"), Lease("marin", 1.0)),
    ],
)
def test_nobody_judges_the_processes_of_another_host_or_boot(host: Host, lease: Lease) -> None:
    assert not host.is_gone(lease)


def test_the_name_of_a_worker_is_one_word() -> None:
    assert this_host("ada lovelace", "my host").worker == "ada_lovelace@my_host"
