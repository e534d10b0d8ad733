"""What applier, template and children send each other.

    applier --- request, signal ---> template --- request, pipe ---> child
       ^---- waits, part, ended ------' ^---- waits, imported, part, done, free ---'

All of it is plain tuples, numbers and strings, packed by the quickest means: each page that packing
touches in a child is a page fault. Only sockets without a name carry them, so no other user can put
bytes of his own in their place.

A request is the fields of Request, a signal (index, number). A child says ("done", answer), or as a
worker that can take the next body ("free", answer): the packed fields of Done, or nothing if they
were sent in parts before. The template keeps that until all that the body started is gone, and then
says ("ended", answer, status, CPU seconds, peak memory, left, killed): the applier wakes once.
"""

from __future__ import annotations

import dataclasses
import marshal
import socket
import struct
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from marin_build.run_step.body import Done, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


PACKET = 1 << 17
"""Bytes of the longest packet; a longer answer is sent in parts."""
_PART = PACKET - 4096
_LONGEST_ORDER = 1 << 13
_NUMBER = struct.Struct("i")
_SPACE = socket.CMSG_SPACE(_NUMBER.size)

pack, unpack = marshal.dumps, marshal.loads


def _fields_of(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(field.name for field in dataclasses.fields(kind)))


_of_request, _of_done = _fields_of(Request), _fields_of(Done)


def packed_request(request: Request) -> bytes:
    """Return the packet that asks for a body."""
    return pack(_of_request(request))


def ended(
    answer: bytes | None,
    usage: tuple[int, float, int] = (0, 0.0, 0),
    left: str = "",
    killed: str = "",
) -> bytes:
    """Return the packet that says that a body, and all it started, is gone.

    Args:
        answer: what its process said; None: it died.
        usage: wait status, CPU seconds and peak memory, as from wait4; without a peak it is not
            known what the body used.
        left: what it left and should not have, for people.
        killed: why the lease keeper killed it.

    """
    return pack(("ended", answer, *usage, left, killed))


def packed_done(done: Done) -> bytes:
    """Return an answer."""
    return pack(_of_done(done))


def unpacked_done(answer: bytes, parts: Sequence[bytes]) -> Done:
    """Return what an answer says, or if it is empty, what the parts before it say."""
    return Done(*unpack(answer or b"".join(parts)))


def say_done(orders: socket.socket, done: Done, *, is_free: bool) -> None:
    """Have a child answer its template.

    Args:
        orders: the socket to the template.
        done: the answer.
        is_free: whether the child can take the next body.

    """
    answer = packed_done(done)
    if len(answer) > _PART:
        for start in range(0, len(answer), _PART):
            orders.send(pack(("part", answer[start : start + _PART])))
        answer = b""
    orders.send(pack(("free" if is_free else "done", answer)))


def say_imported(orders: socket.socket, names: Sequence[str]) -> None:
    """Have a child tell its template which modules the next ones need, too."""
    orders.send(pack(("imported", tuple(names))))


def send_order(orders: socket.socket, packet: bytes, pipe: int) -> None:
    """Hand a request to a child, and the pipe that takes what the body prints.

    Raises:
        OSError: the child is gone.

    """
    descriptor = _NUMBER.pack(pipe)
    orders.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)])


def receive_order(orders: socket.socket) -> tuple[bytes, int]:
    """Return the next request and its pipe; an empty one if there are no more."""
    packet, ancillary, *_ = orders.recvmsg(_LONGEST_ORDER, _SPACE)
    return packet, _NUMBER.unpack(ancillary[0][2])[0] if packet else -1
