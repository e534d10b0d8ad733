"""Processes that used a store end quietly: neither they nor what they forked hang or complain."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Place

PROGRAM = """
import os, sys, warnings
from marin_build.store.open_store import open_store

folder = sys.argv[1]
store = open_store(folder)
version = store.put(folder + "/a", b"parent")
warnings.simplefilter("ignore", DeprecationWarning)  # about fork beside threads
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    assert store.get(folder + "/a").data == b"child"
    store.delete([folder + "/a"])
else:
    assert store.get_many([folder + "/a"])[0].data == b"parent"
    assert store.replace_if(folder + "/a", b"child", version)
# Both end the long way, finalisers included.
"""


def test_a_process_and_its_fork_end_quietly(remote: Place) -> None:
    argv = [sys.executable, "-W", "default", "-c", PROGRAM, remote.folder]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
