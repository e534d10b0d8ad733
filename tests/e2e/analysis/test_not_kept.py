"""A load that did what cannot be known again is not kept, and the author's line is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.analysis.loads import LoadProcess

HEAD = """\
import os
from marin_build import step

@step
def build(output: str, value: object = None) -> None: ...

"""
HELPER = """\
import datetime

def year():
    return datetime.date.today().year
"""
FIRST = HEAD.count("\n") + 1


def _pipeline(body: str) -> str:
    return f"{HEAD}{body}\n\ntargets = [build(value=str(VALUE))]\n"


CASES: dict[str, tuple[str, int | str | None, str]] = {
    "subprocess": ("import subprocess\nVALUE = subprocess.run(['true']).returncode", 1, "process"),
    "system": ("VALUE = os.system('true')", 0, "process"),
    "popen": ("VALUE = os.popen('echo 1').read()", 0, "process"),
    "posix_spawn": (
        "VALUE = os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1]",
        0,
        "pro",
    ),
    "fork": ("p = os.fork()\nif p == 0: os._exit(0)\nVALUE = os.waitpid(p, 0)[1]", 0, "process"),
    "socket": ("import socket\nVALUE = 1\nsocket.socket().close()", 2, "network"),
    "getaddrinfo": (
        "import socket\nVALUE = len(socket.getaddrinfo('127.0.0.1', 80)) > 0",
        1,
        "netw",
    ),
    "writes": ("VALUE = open('x.txt', 'w').write('1')", 0, "writes `"),
    "appends": ("VALUE = open('x.txt', 'a').write('1')", 0, "writes `"),
    "os.open": ("VALUE = 1\nos.close(os.open('x.txt', os.O_CREAT | os.O_RDWR))", 1, "writes `"),
    "mkdir": ("VALUE = os.makedirs('new/folder')", 0, "changes `"),
    "removes": (
        "import pathlib\nVALUE = pathlib.Path('gone.txt').unlink(missing_ok=True)",
        1,
        "chan",
    ),
    "renames": ("os.rename('gone.txt', 'other.txt')\nVALUE = 1", 0, "changes `"),
    "symlink": ("os.symlink('a', 'b.link')\nVALUE = 1", 0, "changes `"),
    "tempfile": ("import tempfile\nVALUE = 1\nf = tempfile.NamedTemporaryFile()", 2, ""),
    "stdin": ("import sys\nVALUE = sys.stdin.read()", 1, "standard input"),
    "open 0": ("VALUE = open(0).read()", 0, "standard input"),
    "time": ("import time\nVALUE = time.time() > 0", 1, "clock"),
    "time from": ("from time import time_ns as ns\nVALUE = ns() > 0", 1, "clock"),
    "strftime": ("import time\nVALUE = time.strftime('%Y')", 1, "clock"),
    "formatdate": ("import email.utils\nVALUE = email.utils.formatdate()[:3]", 1, "clock"),
    "now": ("import datetime as d\nVALUE = d.datetime.now().year", 1, "clock"),
    "today": ("from datetime import date\nVALUE = date.today().year", 1, "clock"),
    "utcnow": ("from datetime import datetime as D\nVALUE = D.utcnow().year", 1, "clock"),
    "now as value": (
        "from datetime import datetime\nf = datetime.now\nVALUE = f().year",
        1,
        "clock",
    ),
    "now in function": (
        "from datetime import datetime as d\ndef f():\n    return d.now().year\nVALUE = f()",
        2,
        "clock",
    ),
    "now by default factory": (
        (
            "import dataclasses, datetime as d\n@dataclasses.dataclass\nclass C:\n"
            "    y: object = dataclasses.field(default_factory=lambda: d.datetime.now().year)\n"
            "VALUE = C().y"
        ),
        3,
        "clock",
    ),
    "now by getattr": (
        "import datetime\nVALUE = getattr(datetime.datetime, 'now')().year",
        1,
        "clock",
    ),
    "now in text": ("VALUE = eval('__import__(\"datetime\").datetime.now().year')", None, "text"),
    "uuid4": ("import uuid\nVALUE = uuid.uuid4().version", 1, "random"),
    "uuid1": ("import uuid\nVALUE = uuid.uuid1().version", 1, "random"),
    "random": ("import random\nVALUE = random.random() > 2", 1, "random"),
    "shuffle": ("from random import shuffle\nVALUE = [1]\nshuffle(VALUE)", 2, "random"),
    "Random": ("import random\nVALUE = random.Random().random() > 2", 1, "random"),
    "seed of the clock": ("import random\nrandom.seed()\nVALUE = 1", 1, "random"),
    "urandom": ("VALUE = len(os.urandom(3))", 0, "random"),
    "secrets": ("import secrets\nVALUE = len(secrets.token_hex(3))", 1, "random"),
    "id": ("VALUE = id(os) > 0", 0, "id"),
    "hash": ("VALUE = hash('x') != 0", 0, "hash"),
    "pid": ("VALUE = os.getpid() > 0", 0, "each process"),
    "thread": ("import threading\nVALUE = 1\nthreading.Thread(target=print).start()", 2, "thread"),
    "pool": (
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(1) as p:\n    VALUE = p.submit(len, 'x').result()"
        ),
        2,
        "thread",
    ),
    "ctypes": ("import ctypes\nVALUE = 1\nctypes.CDLL(None)", 2, "native"),
    "sqlite": ("import sqlite3\nVALUE = sqlite3.connect(':memory:').total_changes", 1, "database"),
    "proc": ("VALUE = len(open('/proc/self/stat').read()) > 0", 0, "no file of a disk"),
    "opened folder": ("d = os.open('.', os.O_RDONLY)\nVALUE = len(os.listdir(d)) > 0", 1, "folder"),
    "load": ("VALUE = os.getloadavg()[0] >= 0", 0, "busy"),
    "disk": ("import shutil\nVALUE = shutil.disk_usage('.').total > 0", 1, "busy"),
    "atime": ("VALUE = os.stat('.').st_atime > 0", 0, "read last"),
    "pwd": ("import pwd\nVALUE = pwd.getpwuid(0).pw_name", 0, "imports `pwd`"),
    "posix": ("from posix import stat\nVALUE = stat('.').st_size > 0", 0, "imports `posix`"),
    "fileinput": ("import fileinput\nVALUE = list(fileinput.input())", 0, "imports `fileinput`"),
    "read 0": ("VALUE = os.read(0, 3)", 0, "standard input"),
    "dup 0": ("VALUE = os.dup(0) > 0", 0, "standard input"),
    "input": ("try:\n    VALUE = input()\nexcept EOFError:\n    VALUE = 1", 1, "standard input"),
    "dbm": ("import dbm\nVALUE = 1", 0, "imports `dbm`"),
    "pyarrow": (
        (
            "try:\n    import pyarrow.parquet as pq\n    VALUE = pq.read_table('x')\n"
            "except ImportError:\n    VALUE = 1"
        ),
        2,
        "calls `pyarrow.parquet.read_table`",
    ),
    "module as a value": (
        "import helper\ndef use(it):\n    return it.year()\nVALUE = use(helper)",
        "helper.py:4",
        "clock",
    ),
    "function of a table": (
        "from helper import year\nTABLE = {'y': year}\nVALUE = TABLE['y']()",
        "helper.py:4",
        "clock",
    ),
    "function by globals": (
        (
            "import datetime\ndef late(): return datetime.date.today().year\n"
            "VALUE = globals()['late']()"
        ),
        1,
        "clock",
    ),
    "attrgetter": (
        "import datetime, operator\nVALUE = operator.attrgetter('date.today')(datetime)().year",
        1,
        "clock",
    ),
    "email": ("import email.utils\nVALUE = email.utils.localtime().year", 1, "clock"),
    "getnode": ("import uuid\nVALUE = uuid.getnode() > 0", 1, "each process"),
    "numpy random": ("import numpy as np\nVALUE = np.random.rand() > 2", 1, "random"),
    "default_rng": ("import numpy as np\nVALUE = np.random.default_rng().random() > 2", 1, "rand"),
    "module beside it": ("from helper import year\nVALUE = year()", "helper.py:4", "clock"),
    "timeit": ("import timeit\nVALUE = timeit.timeit('1', number=1) > 0", 1, "clock"),
    "hidden environ": ("VALUE = os.environ._data.get(b'X')", 0, "past what notes them"),
    "C functions of Python": (
        "import ctypes\nVALUE = ctypes.pythonapi is None",
        1,
        "cannot be seen",
    ),
    "pipe": (
        "r, w = os.pipe()\nos.write(w, b'1')\nVALUE = os.read(r, 1)",
        2,
        "no file of a disk",
    ),
    "busy memory": ("VALUE = os.sysconf('SC_AVPHYS_PAGES') > 0", 0, "busy"),
    "spawned process": (
        "import multiprocessing as m\nVALUE = 1\nm.get_context('spawn').Process().start()",
        2,
        "each process",
    ),
    "event loop": (
        "import asyncio\nasync def f(): return 1\nVALUE = asyncio.run(f())",
        2,
        "network",
    ),
    "connections of a C library": (
        "import sys, types\nVALUE = 1\nsys.modules['pyodbc'] = types.ModuleType('pyodbc')",
        None,
        "imports `pyodbc`, which may use the network",
    ),
    "isatty": ("import sys\nVALUE = sys.stderr.isatty()", 1, "each process"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_not_kept_and_its_line_is_named(
    case: str, loads: LoadProcess, tmp_path: Path
) -> None:
    body, line, reason = CASES[case]
    (tmp_path / "gone.txt").write_text("")
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "pipeline.py").write_text(_pipeline(body))

    load = loads.load(tmp_path)

    assert load.raised == ""
    assert load.kept is None
    assert reason in load.reason
    place = f"pipeline.py:{FIRST + line}" if isinstance(line, int) else line
    assert place is None or load.where == place


def test_a_file_written_just_before_is_not_trusted(loads: LoadProcess, tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text(_pipeline("VALUE = 1"))
    load = loads.load(tmp_path, trusting=False)
    assert (load.reason, load.where) == (
        "was written just before it was read",
        "pipeline.py",
    )
