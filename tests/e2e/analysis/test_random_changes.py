"""Whatever is changed around a pipeline: while no change is told, a fresh load gives the same.

Files, folders, links, modules, packages, variables, parameters, versions and the current folder of
a project are changed at random. A user whose pipeline is not loaded again would else see the plan
of another state of the project.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.e2e.analysis.loads import LoadProcess

HEAD = """\
import glob, importlib, importlib.metadata, importlib.resources, importlib.util, mmap, os, pathlib
import pkgutil, sqlite3, sys
from marin_build import step

HERE = os.path.dirname(os.path.abspath(__file__))
IN = lambda name: os.path.join(HERE, name)

@step
def build(output: str, value: str = ''): ...

def got(ask):
    try:
        return repr(ask())
    except (OSError, ImportError, KeyError, AttributeError, SyntaxError, LookupError,
            ValueError) as error:
        return type(error).__name__

"""
ASKED = [
    "open(IN('data/a.txt')).read()",
    "open('data/a.txt').read()",
    "pathlib.Path(IN('data/b.txt')).read_text()",
    "open(IN('link')).read()",
    "sorted(os.listdir(IN('data')))",
    "os.listdir(IN('data'))",
    "os.listdir(IN('data/b.txt'))",
    "open(IN('data')).read()",
    "os.readlink(IN('data/a.txt'))",
    "[p.name for p in pathlib.Path(IN('data')).rglob('*')]",
    "list(os.environ)[-3:]",
    "sorted(glob.glob(IN('data/**/*.txt'), recursive=True))",
    "sorted(map(str, pathlib.Path(IN('.')).glob('*/*.py')))",
    "[(r, sorted(d), sorted(f)) for r, d, f in sorted(os.walk(IN('data')))]",
    "sorted((e.name, e.is_dir(), e.stat().st_size) for e in os.scandir(IN('data')))",
    "os.path.exists(IN('data/b.txt'))",
    "os.path.isdir(IN('helper'))",
    "os.path.islink(IN('data'))",
    "os.path.realpath(IN('data/a.txt'))",
    "os.stat(IN('data/a.txt')).st_size",
    "os.access(IN('data/a.txt'), os.R_OK)",
    "os.environ.get('X_ONE')",
    "os.environ['X_TWO']",
    "sorted(k for k in os.environ if k.startswith('X_'))",
    "__import__('helper').VALUE",
    "__import__('other').VALUE",
    "importlib.import_module('pkg.sub').VALUE",
    "importlib.import_module('pkg').VALUE",
    "importlib.util.find_spec('fast') is None",
    "__import__('helper').__file__",
    "[m.name for m in pkgutil.iter_modules([HERE]) if m.name != 'pipeline']",
    "pkgutil.get_data('pkg', 'sub.py')",
    "importlib.metadata.version('plugin-x')",
    "os.getcwd()",
    "os.read(os.open(IN('data/a.txt'), os.O_RDONLY), 99)",
    "open(os.dup(os.open(IN('link'), os.O_RDONLY))).read()",
    "importlib.resources.files('pkg').joinpath('sub.py').read_text()",
    "sqlite3.connect(IN('data/b.txt')).total_changes",
    "sum(map(ord, mmap.mmap(os.open(IN('data/a.txt'), 0), 0, prot=1).read().decode()))",
    "os.path.expandvars('$X_ONE'), os.path.relpath(IN('data')), len(os.sched_getaffinity(0)) > 0",
    "open('/proc/version').read()",
    "sys.argv[1:]",
    "dict(line.split('=') for line in open(IN('.env')))",
    "{}.__class__(exec(open(IN('other.py')).read()) or {})",
]
PATHS = [
    "data/a.txt", "data/b.txt", "data/sub/c.txt", "data/sub", "data", "spare", "spare/a.txt",
    "link", "helper.py", "helper", "helper/__init__.py", "src", "src/helper.py", "other.py",
    "fast.py", "pkg", "pkg/__init__.py", "pkg/sub.py", "pkg/sub", "pkg/sub/__init__.py", ".env",
    "plugin_x-1.dist-info/METADATA", "json.py", "unrelated/file.txt",
]  # fmt: skip
TEXTS = ["VALUE = 1\n", "VALUE = 22\n", "from other import VALUE\n", "VALUE=3\nimport helper\n", ""]
VERSIONS = ["Metadata-Version: 2.1\nName: plugin-x\nVersion: 1\n", "Name: plugin-x\nVersion: 22\n"]

paths = st.sampled_from(PATHS)
changes = st.one_of(
    st.tuples(st.just("write"), paths, st.sampled_from(TEXTS + VERSIONS)),
    st.tuples(st.just("replace"), paths, st.sampled_from(TEXTS)),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("rename"), paths, paths),
    st.tuples(st.just("link"), paths, paths),
    st.tuples(st.just("touch"), paths),
    st.tuples(st.just("disguise"), paths),
    st.tuples(st.just("rights"), paths),
    st.tuples(st.just("set"), st.sampled_from(["X_ONE", "X_TWO", "X_NEW"]), st.sampled_from("12")),
    st.tuples(st.just("unset"), st.sampled_from(["X_ONE", "X_TWO", "X_NEW"])),
    st.tuples(st.just("give"), st.sampled_from(["x", "y"]), st.sampled_from("12")),
    st.tuples(st.just("go"), st.sampled_from([".", "data", "unrelated"])),
)


@given(
    st.lists(st.sampled_from(ASKED), min_size=1, max_size=6, unique=True),
    st.lists(st.lists(changes, min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_while_no_change_is_told_a_load_gives_the_same(
    loads: LoadProcess, asked: list[str], rounds: list[list[tuple[str, ...]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        for path in ("data/a.txt", "data/sub/c.txt", "helper.py", "pkg/__init__.py", "pkg/sub.py"):
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(TEXTS[0])
        (project / "marin-build.toml").write_text("")
        (project / "link").symlink_to("data/a.txt")
        (project / "unrelated").mkdir()
        lines = [f"V{i} = got(lambda: {each})" for i, each in enumerate(asked)]
        values = ", ".join(f"V{i}" for i in range(len(asked)))
        last = (
            "def pipeline(x: str = '', y: str = ''):\n"
            f"    return [build(value=repr([{values}, x, y]))]\n"
        )
        (project / "pipeline.py").write_text(HEAD + "\n".join([*lines, last]))
        state: dict[str, Any] = {"environ": {}, "parameters": {}, "folder": str(project)}
        known = loads.load(project, **state)
        for each in rounds:
            for change in each:
                _do(change, project, state)
            if not os.path.isdir(state["folder"]):
                state["folder"] = str(project)
            if known.kept is None:
                known = loads.load(project, **state)
                continue
            told = loads.first_change(project, known.kept, **state)
            fresh = loads.load(project, **state)
            if told is None:
                assert (fresh.raised, fresh.payloads) == (known.raised, known.payloads)
            known = fresh


def _do(change: tuple[str, ...], project: Path, state: dict[str, Any]) -> None:
    match change:
        case ("set", name, value):
            state["environ"] = {**state["environ"], name: value}
        case ("unset", name):
            state["environ"] = {k: v for k, v in state["environ"].items() if k != name}
        case ("give", name, value):
            state["parameters"] = {**state["parameters"], name: value}
        case ("go", folder):
            state["folder"] = str(project / folder)
        case (what, name, *more):
            with suppress(OSError):  # a folder lies there, or nothing
                _change_file(what, project / name, more, project)


def _change_file(what: str, path: Path, more: list[str], project: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "write":
            path.write_text(more[0])
        case "replace":
            new = path.with_name("new")
            new.write_text(more[0])
            new.replace(path)
        case "touch":
            os.utime(path, (1_000_000_000, 1_000_000_000))
        case "disguise":  # another content with the same size and times
            before = path.stat()
            path.write_bytes(bytes(reversed(path.read_bytes())))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "rights":
            path.chmod(path.stat().st_mode ^ 0o111)
        case "remove" if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        case "remove":
            path.unlink()
        case "rename":
            target = project / more[0]
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        case "link":
            path.unlink(missing_ok=True)
            path.symlink_to(project / more[0])
