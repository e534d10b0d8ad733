"""What applier, template and children send each other: requests, answers, and descriptors.

All of it is plain tuples, numbers and strings, packed by the quickest means: each page that packing
touches in a child is a page fault. A request is the fields of Request, a signal (index, number); an
answer is the fields of Done, if they are long in parts, or of a process that is gone its status,
CPU seconds and peak memory, as from wait4. Only sockets without a name carry them, so no other user
can put bytes of his own in their place.
"""

from __future__ import annotations

import dataclasses
import marshal
import os
import socket
import struct
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from marin_build.run_step.body import Done, Request

if TYPE_CHECKING:
    from collections.abc import Callable


PACKET = 1 << 17
"""Bytes of the longest packet; a longer answer is sent in parts."""
FREE = b"free"
"""What a worker says when it can take the next body."""
_PART = PACKET - 1024
_LONGEST_ORDER = 1 << 13
_NUMBERS = struct.Struct("2i")
_SPACE = socket.CMSG_SPACE(_NUMBERS.size)
_NOT_FOR_PROGRAMS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

pack, unpack = marshal.dumps, marshal.loads


def _fields_of(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(field.name for field in dataclasses.fields(kind)))


_of_request, _of_done = _fields_of(Request), _fields_of(Done)


def packed_request(request: Request) -> bytes:
    """Return the packet that asks for a body."""
    return pack(_of_request(request))


def packed_done(done: Done) -> bytes:
    """Return the packet that says how a body ended; a child sends it with `answer`."""
    return pack(_of_done(done))


def answer(channel: int, done: Done) -> None:
    """Send how a body ended, in parts if it is long.

    Args:
        channel: descriptor of the socket to the applier.
        done: the answer.

    """
    packet = packed_done(done)
    if len(packet) > _PART:
        for start in range(0, len(packet), _PART):
            os.write(channel, pack(("part", packet[start : start + _PART])))
        packet = pack(("whole",))
    os.write(channel, packet)


def send_order(orders: socket.socket, packet: bytes, pipe: int, channel: int) -> None:
    """Hand a request to a child, with descriptors of its own.

    Args:
        orders: the socket to the child.
        packet: the request.
        pipe: takes what the body prints.
        channel: takes the answers.

    Raises:
        OSError: the child is gone.

    """
    numbers = _NUMBERS.pack(pipe, channel)
    orders.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])


def receive_order(orders: socket.socket) -> tuple[bytes, int, int]:
    """Return the next request, its pipe and its channel; an empty one if there are no more."""
    packet, ancillary, *_ = orders.recvmsg(_LONGEST_ORDER, _SPACE, _NOT_FOR_PROGRAMS)
    if not packet:
        return packet, -1, -1
    pipe, channel = _NUMBERS.unpack(ancillary[0][2])
    return packet, pipe, channel
