"""Huge pages for what a process shares with many children: a fork then copies few table entries.

A fork copies an entry for each page that the parent has written to, so its cost grows with the
graph: a pipeline of 10,000 steps takes 40 MB, which are 10,000 pages or 20 huge ones. Where the
kernel can (Linux 6.1), it is asked to put huge pages in their place, once.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


_MADV_COLLAPSE = 25  # linux/mman.h
_HUGE = 1 << 21
_OWN = "rw-p"


def use_huge_pages() -> None:
    """Have the kernel put huge pages in the place of small ones in the memory of this process.

    It takes some milliseconds for each. What cannot be done is left as it is.
    """
    try:
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
        for start, end in _memory():
            advise(start, end - start, _MADV_COLLAPSE)
    except (OSError, AttributeError):  # not Linux
        return


def _memory() -> Iterator[tuple[int, int]]:
    """Yield where huge pages fit into the memory that belongs to no file, as proc(5) tells."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as stream:
        lines = stream.readlines()
    for line in lines:
        place, rights, _, _, inode, *name = line.split()
        if rights != _OWN or inode != "0" or name not in ([], ["[heap]"]):
            continue
        start, end = (int(number, 16) for number in place.split("-"))
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        if start < end:
            yield start, end
