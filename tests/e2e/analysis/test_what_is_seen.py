"""What a pipeline depends on, in the many ways of Python: each change of it is seen.

A pipeline is loaded, something is changed, and either the load was not kept, or the change is told.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.analysis.loads import LoadProcess

HEAD = """\
import os
from marin_build import step

@step
def build(output: str, value: str = ''): ...

"""
TAIL = "\n\ntargets = [build(value=repr(VALUE))]\n"


@dataclass(frozen=True)
class Case:
    """A pipeline, what lies around it, and a change that gives it another value.

    Args:
        body: sets VALUE.
        files: path -> text.
        change: changes something in the project's folder.
        options: of the first load; `after`, those of the second.
        is_kept: whether it is known to be observable: else that it may not be kept.

    """

    body: str
    files: dict[str, str] = field(default_factory=dict)
    change: Callable[[Path], object] = lambda _: None
    options: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    is_kept: bool = True


def _write(path: str, text: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    return change


def _remove(path: str) -> Callable[[Path], object]:
    return lambda folder: (folder / path).unlink()


def _swap_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("b")


def _folder_by_link(folder: Path) -> None:
    (folder / "data").rename(folder / "old")
    (folder / "other").rename(folder / "new")
    (folder / "data").symlink_to("new")


def _dist_info(version: str) -> dict[str, str]:
    return {
        "plugin_x-1.dist-info/METADATA": f"Name: plugin-x\nVersion: {version}\n",
        "plugin_x-1.dist-info/entry_points.txt": "[my.group]\na = m:f\n",
    }


CASES = {
    "open": Case("VALUE = open('a.txt').read()", {"a.txt": "1"}, _write("a.txt", "2")),
    "open of missing": Case(
        "try:\n    VALUE = open('a.txt').read()\nexcept OSError:\n    VALUE = None",
        {},
        _write("a.txt", "2"),
    ),
    "pathlib read": Case(
        "import pathlib\nVALUE = (pathlib.Path(__file__).parent / 'a.txt').read_text()",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "bytes path": Case("VALUE = open(b'a.txt').read()", {"a.txt": "1"}, _write("a.txt", "2")),
    "os.open and read": Case(
        "d = os.open('a.txt', os.O_RDONLY)\nVALUE = os.read(d, 9)",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "io.open_code": Case(
        "import io\nVALUE = io.open_code(os.path.abspath('a.txt')).read()",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "processors and limits": Case(
        "VALUE = len(os.sched_getaffinity(0)), os.sysconf('SC_PAGESIZE'), os.path.exists('a')",
        {},
        _write("a", ""),
    ),
    "file of the kernel": Case(
        "VALUE = open('/proc/version').read(), os.path.exists('a')", {}, _write("a", "")
    ),
    "open by number": Case(
        "VALUE = open(os.open('a.txt', os.O_RDONLY)).read()", {"a.txt": "1"}, _write("a.txt", "2")
    ),
    "FileIO": Case(
        "import io\nVALUE = io.FileIO('a.txt').read()", {"a.txt": "1"}, _write("a.txt", "2")
    ),
    "json": Case(
        "import json\nVALUE = json.load(open('a.json'))", {"a.json": "1"}, _write("a.json", "2")
    ),
    "toml": Case(
        "import tomllib\nwith open('a.toml', 'rb') as f:\n    VALUE = tomllib.load(f)",
        {"a.toml": "x=1"},
        _write("a.toml", "x=2"),
    ),
    "yaml": Case(
        "import yaml\nVALUE = yaml.safe_load(open('a.y'))", {"a.y": "1"}, _write("a.y", "2")
    ),
    "configparser": Case(
        "import configparser as p\nc = p.ConfigParser()\nc.read('a.ini')\nVALUE = dict(c['a'])",
        {"a.ini": "[a]\nx=1"},
        _write("a.ini", "[a]\nx=2"),
    ),
    "csv": Case(
        "import csv\nVALUE = list(csv.reader(open('a.c')))", {"a.c": "1"}, _write("a.c", "2")
    ),
    "mmap": Case(
        "import mmap\nf = open('a.txt', 'rb')\n"
        "VALUE = bytes(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "linecache": Case(
        "import linecache\nVALUE = linecache.getline('a.txt', 1)",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "zip": Case(
        "import zipfile\nVALUE = zipfile.is_zipfile('a.zip')",
        {"a.zip": "1"},
        lambda f: shutil.make_archive(str(f / "a"), "zip", f, "pipeline.py"),
    ),
    "sha": Case(
        "import hashlib\nVALUE = hashlib.file_digest(open('a.txt', 'rb'), 'md5').hexdigest()",
        {"a.txt": "1"},
        _write("a.txt", "2"),
    ),
    "exec of a file": Case(
        "exec(open('a.py').read())", {"a.py": "VALUE = 1"}, _write("a.py", "VALUE=2")
    ),
    "runpy": Case(
        "import runpy\nVALUE = runpy.run_path('a.py')['x']",
        {"a.py": "x = 1"},
        _write("a.py", "x = 2"),
    ),
    "importlib file": Case(
        "import importlib.util as u\n"
        "s = u.spec_from_file_location('m', os.path.abspath('sub/m.py'))\n"
        "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nVALUE = m.x",
        {"sub/m.py": "x = 1"},
        _write("sub/m.py", "x = 22"),
    ),
    "listdir": Case("VALUE = sorted(os.listdir('d'))", {"d/a": ""}, _write("d/b", "")),
    "listdir removed": Case(
        "VALUE = sorted(os.listdir('d'))", {"d/a": "", "d/b": ""}, _remove("d/b")
    ),
    "listdir of missing": Case(
        "try:\n    VALUE = os.listdir('d')\nexcept OSError:\n    VALUE = None",
        {},
        _write("d/b", ""),
    ),
    "iterdir": Case(
        "import pathlib\nVALUE = sorted(map(str, pathlib.Path('d').iterdir()))",
        {"d/a": ""},
        _write("d/b", ""),
    ),
    "glob": Case(
        "import glob\nVALUE = sorted(glob.glob('d/*.x'))", {"d/a.x": ""}, _write("d/b.x", "")
    ),
    "deep glob": Case(
        "import glob\nVALUE = sorted(glob.glob('d/**/*.x', recursive=True))",
        {"d/e/a.x": ""},
        _write("d/e/f/b.x", ""),
    ),
    "rglob": Case(
        "import pathlib\nVALUE = sorted(map(str, pathlib.Path('d').rglob('*.x')))",
        {"d/e/a.x": ""},
        _write("d/e/b.x", ""),
    ),
    "glob of a name": Case(
        "import glob\nVALUE = glob.glob('d/a.x')", {"d/b": ""}, _write("d/a.x", "")
    ),
    "walk": Case("VALUE = [f for _, _, f in os.walk('d')]", {"d/e/a": ""}, _write("d/e/b", "")),
    "scandir": Case(
        "VALUE = sorted(e.name for e in os.scandir('d'))", {"d/a": ""}, _write("d/b", "")
    ),
    "scandir sizes": Case(
        "VALUE = [e.stat().st_size for e in os.scandir('d')]", {"d/a": "1"}, _write("d/a", "22")
    ),
    "scandir through a link": Case(
        "VALUE = [e.stat().st_size for e in os.scandir('d')]",
        {"d/x": "", "a": "1"},
        lambda f: (f / "a").write_text("22"),
    ),
    "exists": Case("VALUE = os.path.exists('a')", {}, _write("a", "")),
    "is_file": Case("import pathlib\nVALUE = pathlib.Path('a').is_file()", {}, _write("a", "")),
    "is_dir": Case("import pathlib\nVALUE = pathlib.Path('a').is_dir()", {}, _write("a/b", "")),
    "getsize": Case("VALUE = os.path.getsize('a')", {"a": "1"}, _write("a", "22")),
    "getmtime": Case(
        "VALUE = os.path.getmtime('a')", {"a": "1"}, lambda f: os.utime(f / "a", (1, 1))
    ),
    "pathlib stat": Case(
        "import pathlib\nVALUE = pathlib.Path('a').stat().st_size", {"a": "1"}, _write("a", "22")
    ),
    "fstat": Case(
        "f = open('a')\nVALUE = os.fstat(f.fileno()).st_size", {"a": "1"}, _write("a", "22")
    ),
    "access": Case("VALUE = os.access('a', os.F_OK)", {}, _write("a", "")),
    "readlink": Case("VALUE = os.readlink('link')", {}, _swap_link),
    "swapped link": Case("VALUE = open('link').read()", {"a": "1", "b": "2"}, _swap_link),
    "realpath": Case("VALUE = os.path.realpath('link')", {"a": "1", "b": "2"}, _swap_link),
    "resolve": Case(
        "import pathlib\nVALUE = str(pathlib.Path('link').resolve())",
        {"a": "1", "b": "2"},
        _swap_link,
    ),
    "samefile": Case("VALUE = os.path.samefile('link', 'b')", {"a": "1", "b": "2"}, _swap_link),
    "folder by a link": Case(
        "VALUE = open('data/a').read()", {"data/a": "1", "other/a": "2"}, _folder_by_link
    ),
    "import": Case(
        "from helper import VALUE", {"helper.py": "VALUE = 1"}, _write("helper.py", "VALUE=22")
    ),
    "import of a package": Case(
        "from pkg.sub import VALUE",
        {"pkg/__init__.py": "", "pkg/sub.py": "VALUE = 1"},
        _write("pkg/sub.py", "VALUE = 22"),
    ),
    "package init": Case(
        "import pkg\nVALUE = pkg.x",
        {"pkg/__init__.py": "x = 1"},
        _write("pkg/__init__.py", "x = 22"),
    ),
    "optional import": Case(
        "try:\n    import fast as m\nexcept ImportError:\n    m = None\nVALUE = m is None",
        {},
        _write("fast.py", ""),
    ),
    "optional import by importlib": Case(
        "import importlib\ntry:\n    m = importlib.import_module('fast')\nexcept ImportError:\n"
        "    m = None\nVALUE = m is None",
        {},
        _write("fast.py", ""),
    ),
    "find_spec": Case(
        "import importlib.util\nVALUE = importlib.util.find_spec('fast') is None",
        {},
        _write("fast.py", ""),
    ),
    "find_spec found": Case(
        "import importlib.util\nVALUE = importlib.util.find_spec('fast') is None",
        {"fast.py": ""},
        _remove("fast.py"),
    ),
    "submodule that is missing": Case(
        "import pkg\ntry:\n    import pkg.fast as m\nexcept ImportError:\n    m = None\n"
        "VALUE = m is None",
        {"pkg/__init__.py": ""},
        _write("pkg/fast.py", ""),
    ),
    "package takes the place of a module": Case(
        "from helper import VALUE",
        {"helper.py": "VALUE = 1"},
        _write("helper/__init__.py", "VALUE = 2"),
    ),
    "namespace package": Case(
        "import ns.m\nVALUE = ns.m.x, hasattr(ns, 'y')",
        {"ns/m.py": "x = 1"},
        _write("ns/__init__.py", "y = 2"),
    ),
    "earlier folder of the path": Case(
        "import sys\nsys.path[:0] = [os.path.abspath('one'), os.path.abspath('two')]\n"
        "from helper import VALUE",
        {"two/helper.py": "VALUE = 1"},
        _write("one/helper.py", "VALUE = 2"),
    ),
    "src folder": Case(
        "from helper import VALUE", {"helper.py": "VALUE = 1"}, _write("src/x.py", "")
    ),
    "star import": Case(
        "from helper import *", {"helper.py": "VALUE = 1"}, _write("helper.py", "VALUE=22")
    ),
    "pkgutil": Case(
        "import pkgutil, pkg\nVALUE = [m.name for m in pkgutil.iter_modules(pkg.__path__)]",
        {"pkg/__init__.py": "", "pkg/a.py": ""},
        _write("pkg/b.py", ""),
    ),
    "importlib.resources": Case(
        "import importlib.resources as r\nVALUE = (r.files('pkg') / 'a.txt').read_text()",
        {"pkg/__init__.py": "", "pkg/a.txt": "1"},
        _write("pkg/a.txt", "2"),
    ),
    "pkgutil.get_data": Case(
        "import pkgutil\nVALUE = pkgutil.get_data('pkg', 'a.txt')",
        {"pkg/__init__.py": "", "pkg/a.txt": "1"},
        _write("pkg/a.txt", "2"),
    ),
    "inspect.getsource": Case(
        "import inspect, helper\nVALUE = inspect.getsource(helper)",
        {"helper.py": "x = 1"},
        _write("helper.py", "x = 22"),
    ),
    "version": Case(
        "import importlib.metadata as m, sys\nsys.path.insert(0, os.getcwd())\n"
        "VALUE = m.version('plugin-x')",
        _dist_info("1"),
        _write("plugin_x-1.dist-info/METADATA", _dist_info("22")["plugin_x-1.dist-info/METADATA"]),
    ),
    "entry points": Case(
        "import importlib.metadata as m, sys\n"
        "VALUE = [e.name for e in m.entry_points(group='my.group')]",
        _dist_info("1"),
        _write("plugin_x-1.dist-info/entry_points.txt", "[my.group]\nb = m:f\n"),
    ),
    "a new distribution": Case(
        "import importlib.metadata as m\n"
        "VALUE = [e.name for e in m.entry_points(group='my.group')]",
        {},
        lambda f: [_write(path, text)(f) for path, text in _dist_info("1").items()],
    ),
    "environ": Case("VALUE = os.environ.get('X_Y')", after={"environ": {"X_Y": "1"}}),
    "environ changed": Case(
        "VALUE = os.environ['X_Y']",
        options={"environ": {"X_Y": "1"}},
        after={"environ": {"X_Y": "2"}},
    ),
    "getenv": Case("VALUE = os.getenv('X_Y', '0')", after={"environ": {"X_Y": "1"}}),
    "getenvb": Case("VALUE = os.getenvb(b'X_Y')", after={"environ": {"X_Y": "1"}}),
    "environb": Case("VALUE = os.environb.get(b'X_Y')", after={"environ": {"X_Y": "1"}}),
    "in environ": Case("VALUE = 'X_Y' in os.environ", after={"environ": {"X_Y": "1"}}),
    "dict of environ": Case("VALUE = dict(os.environ).get('X_Y')", after={"environ": {"X_Y": "1"}}),
    "copy of environ": Case(
        "VALUE = os.environ.copy().get('X_Y')", after={"environ": {"X_Y": "1"}}
    ),
    "union of environ": Case(
        "VALUE = (os.environ | {}).get('X_Y')", after={"environ": {"X_Y": "1"}}
    ),
    "names of environ": Case(
        "VALUE = [k for k in os.environ if k.startswith('X_')]", after={"environ": {"X_Y": "1"}}
    ),
    "length of environ": Case("VALUE = len(os.environ)", after={"environ": {"X_Y": "1"}}),
    "imported environ": Case(
        "from os import environ, getenv\nVALUE = getenv('X_Y')", after={"environ": {"X_Y": "1"}}
    ),
    "pop": Case("VALUE = os.environ.pop('X_Y', None)", after={"environ": {"X_Y": "1"}}),
    "setdefault": Case(
        "VALUE = os.environ.setdefault('X_Y', '0')", after={"environ": {"X_Y": "1"}}
    ),
    "expandvars": Case("VALUE = os.path.expandvars('$X_Y')", after={"environ": {"X_Y": "1"}}),
    "expanduser": Case("VALUE = os.path.expanduser('~')", after={"environ": {"HOME": "/x"}}),
    "home": Case(
        "import pathlib\nVALUE = str(pathlib.Path.home())", after={"environ": {"HOME": "/x"}}
    ),
    "getuser": Case(
        "import getpass\nVALUE = getpass.getuser()", after={"environ": {"LOGNAME": "x"}}
    ),
    "time zone": Case("import time\nVALUE = time.tzname", after={"environ": {"TZ": "Asia/Tokyo"}}),
    "locale": Case("import locale\nVALUE = locale.getlocale()", after={"environ": {"LC_ALL": "C"}}),
    "pydantic settings": Case(
        "import pydantic_settings\nclass S(pydantic_settings.BaseSettings):\n    x_y: str = '0'\n"
        "VALUE = S().x_y",
        after={"environ": {"X_Y": "1"}},
    ),
    "dot env": Case(
        "VALUE = dict(l.split('=') for l in open('.env').read().split()) if os.path.exists('.env') "
        "else None",
        {},
        _write(".env", "A=1"),
    ),
    "cwd": Case("VALUE = os.getcwd()", {"sub/a": ""}, after={"folder": "sub"}),
    "pathlib cwd": Case(
        "import pathlib\nVALUE = str(pathlib.Path.cwd())", {"s/a": ""}, after={"folder": "s"}
    ),
    "relative path": Case("VALUE = os.path.exists('a')", {"sub/a": ""}, after={"folder": "sub"}),
    "abspath": Case("VALUE = os.path.abspath('a')", {"sub/a": ""}, after={"folder": "sub"}),
    "after chdir": Case(
        "os.chdir('d')\nVALUE = open('a').read()", {"d/a": "1"}, _write("d/a", "22")
    ),
    "git-like": Case(
        "VALUE = open('.git/HEAD').read()", {".git/HEAD": "ref: a"}, _write(".git/HEAD", "ref: bb")
    ),
    "search path": Case("import sys\nVALUE = sys.path[0]", after={"path": ["/nowhere"]}),
    "parameters": Case(
        "def pipeline(x: int = 1):\n    return [build(value=str(x))]\nVALUE = 0",
        after={"parameters": {"x": "2"}},
    ),
    "argv": Case(
        "import sys\nVALUE = sys.argv[1:]\n\nif __name__ == '__main__':\n    pass",
        after={"parameters": {}},
        change=_write("pipeline.py", "changed"),
    ),
    "shadowing file": Case("import json\nVALUE = json.dumps(1)", {}, _write("json.py", "")),
    "conditional by platform": Case(
        "import platform\nVALUE = platform.node() and os.path.exists('a')", {}, _write("a", "")
    ),
    "cpu count": Case("VALUE = os.cpu_count() > 0 and os.path.exists('a')", {}, _write("a", "")),
    "atexit": Case(
        "import atexit\natexit.register(print)\nVALUE = os.path.exists('a')", {}, _write("a", "")
    ),
    "warnings": Case(
        "import warnings\nwarnings.simplefilter('ignore')\nwarnings.warn('x')\n"
        "VALUE = os.path.exists('a')",
        {},
        _write("a", ""),
    ),
    "logging": Case(
        "import logging\nlogging.getLogger('x').warning('hello')\nVALUE = os.path.exists('a')",
        {},
        _write("a", ""),
    ),
    "seeded random": Case(
        "import random\nrandom.seed(1)\nVALUE = random.random(), random.Random(3).random(), "
        "os.path.exists('a')",
        {},
        _write("a", ""),
    ),
    "clock of what a step calls": Case(
        "import helper\nlate = step(helper.late)\nVALUE = 'x'.encode(), os.path.exists('a')\n"
        "def pipeline():\n    return [late(), build(value=repr(VALUE))]",
        {
            "helper.py": "import datetime\ndef late(output: str): return encode()\n"
            "def encode(): return datetime.datetime.now()\n"
        },
        _write("a", ""),
    ),
    "representation of environ": Case(
        "VALUE = 'X_Y' in repr(os.environ)", after={"environ": {"X_Y": "1"}}
    ),
    "values of environ": Case(
        "VALUE = sorted(os.environ.items())",
        options={"environ": {"X_Y": "1"}},
        after={"environ": {"X_Y": "2"}},
    ),
    "clock of a step": Case(
        "import datetime, time, uuid\n@step\ndef late(output: str):\n    return log()\n"
        "def log():\n    return datetime.datetime.now(), time.time(), uuid.uuid4()\n"
        "VALUE = late() and os.path.exists('a')",
        {},
        _write("a", ""),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_seen(case: str, loads: LoadProcess, tmp_path: Path) -> None:
    it = CASES[case]
    project = tmp_path / "project"
    project.mkdir()
    for path, text in {"marin-build.toml": "", **it.files}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    if "link" in it.body:
        (project / "link").symlink_to("a")
    if case == "scandir through a link":
        (project / "d" / "link").symlink_to("../a")
    (project / "pipeline.py").write_text(HEAD + textwrap.dedent(it.body) + TAIL)

    first = loads.load(project, **it.options)

    assert first.raised == ""
    assert first.kept is not None, (first.reason, first.where)
    assert loads.first_change(project, first.kept, **it.options) is None
    it.change(project)
    after = {**it.options, **it.after}
    if "folder" in after:
        after["folder"] = str(project / after["folder"])
    change = loads.first_change(project, first.kept, **after)
    assert change is not None
    if first.kept == loads.load(project, **after).kept:
        pytest.fail("the observations of the two loads are the same")
