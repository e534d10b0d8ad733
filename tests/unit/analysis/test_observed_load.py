"""Observing a load leaves the program as it was, whatever happens in the load."""

from __future__ import annotations

import _thread
import copy
import os
import pickle
import shutil
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import ObservedLoad, observed_load
from marin_build.errors import MarinBuildError
from marin_build.pipeline.load import Pipeline, load_pipeline
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP = "from marin_build import step\n@step\ndef build(output: str, value: str = ''): ...\n"
LATER_NS = 10_000_000_000


def _state() -> list[object]:
    functions = [*vars(os).values(), *vars(time).values(), *vars(_thread).values()]
    functions += vars(threading).values()
    return [*map(id, functions), type(os.environ), type(os.environb), *sys.meta_path]


def _observe(project: Path, body: str) -> tuple[ObservedLoad, Pipeline]:
    (project / "pipeline.py").write_text(f"{STEP}{body}\ntargets = [build(value='1')]\n")
    workspace = Workspace(str(project), str(project / "out"))
    with observed_load(str(project), {}, clock=lambda: time.time_ns() + LATER_NS) as load:
        pipeline = load_pipeline(str(project / "pipeline.py"), workspace, {})
    return load, pipeline


@pytest.mark.parametrize("body", ["", "raise ValueError", "import sys; sys.exit(3)", "1 / 0"])
def test_everything_is_put_back(body: str, tmp_path: Path) -> None:
    before = _state()
    with suppress(MarinBuildError):
        _observe(tmp_path, body)
    assert _state() == before


def test_what_modules_keep_of_functions_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "kept_here.py").write_text("from os import stat, getcwd\nfrom time import time\n")
    load, pipeline = _observe(
        tmp_path, "import kept_here\nfrom os import lstat\nfrom time import time"
    )
    assert isinstance(load.result(pipeline), Observations)
    import kept_here  # type: ignore[import-not-found]

    assert (kept_here.stat, kept_here.getcwd, kept_here.time) == (os.stat, os.getcwd, time.time)
    assert sys.modules["pipeline"].lstat is os.lstat
    del sys.modules["kept_here"]


def test_functions_that_code_keeps_go_on_working(tmp_path: Path) -> None:
    load, pipeline = _observe(
        tmp_path, "import os\ndef f(stat=os.stat): return stat('/')\nKEPT = [os.stat]"
    )
    assert isinstance(load.result(pipeline), Observations)
    (kept,) = sys.modules["pipeline"].KEPT
    assert kept("/") == os.stat("/")
    assert sys.modules["pipeline"].f() == os.stat("/")
    assert copy.deepcopy(kept) is os.stat
    assert pickle.loads(pickle.dumps(kept)) is os.stat
    assert kept.code_name == "builtin posix.stat"


def test_libraries_still_know_what_functions_can_do(tmp_path: Path) -> None:
    """`shutil.rmtree` is only safe against links if it sees that `os.stat` takes a descriptor."""
    body = (
        "import os\n"
        "KEPT = {os.open, os.stat} <= os.supports_dir_fd, os.stat in os.supports_follow_symlinks"
    )
    _observe(tmp_path, body)
    assert sys.modules["pipeline"].KEPT == (True, True)
    assert shutil.rmtree.avoids_symlink_attacks


def test_a_load_that_is_observed_gives_what_another_gives(tmp_path: Path) -> None:
    body = (
        "import os\nimport time\nBOTH = os.path.exists(__file__), len(os.listdir('/')), os.getcwd()"
    )
    _, pipeline = _observe(tmp_path, body)
    watched = sys.modules["pipeline"].BOTH
    workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
    plain = load_pipeline(str(tmp_path / "pipeline.py"), workspace, {})
    assert watched == sys.modules["pipeline"].BOTH
    assert [step.name for step in plain.roots] == [step.name for step in pipeline.roots]


def test_a_second_load_at_the_same_time_is_not_observed(tmp_path: Path) -> None:
    with observed_load(str(tmp_path), {}) as outer:
        load, pipeline = _observe(tmp_path, "")
    found = load.result(pipeline)
    assert isinstance(found, NotKept)
    assert found.reason == "is loaded while another load is observed"
    assert outer is not load


def _in_thread(do: Callable[[], object]) -> None:
    thread = threading.Thread(target=do)
    thread.start()
    thread.join()


def test_what_other_threads_ask_is_not_the_loads(tmp_path: Path) -> None:
    go, done = threading.Event(), threading.Event()

    def other() -> None:
        go.wait()
        os.environ.get("OF_ANOTHER_THREAD")
        os.stat("/")
        time.time()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    (tmp_path / "pipeline.py").write_text(f"{STEP}\ntargets = [build(value='1')]\n")
    workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
    with observed_load(str(tmp_path), {}, clock=lambda: time.time_ns() + LATER_NS) as load:
        go.set()
        done.wait()
        pipeline = load_pipeline(str(tmp_path / "pipeline.py"), workspace, {})
    thread.join()
    found: Any = load.result(pipeline)
    assert isinstance(found, Observations)
    assert "OF_ANOTHER_THREAD" not in found.answers["variable"]


def test_beside_a_thread_that_opens_files_nothing_is_known(tmp_path: Path) -> None:
    go, done = threading.Event(), threading.Event()

    def other() -> None:
        go.wait()
        with open("/etc/hostname", "rb"):
            done.set()

    thread = threading.Thread(target=other)
    thread.start()
    (tmp_path / "pipeline.py").write_text(f"{STEP}\ntargets = [build(value='1')]\n")
    workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
    with observed_load(str(tmp_path), {}) as load:
        go.set()
        done.wait()
        pipeline = load_pipeline(str(tmp_path / "pipeline.py"), workspace, {})
    thread.join()
    found = load.result(pipeline)
    assert isinstance(found, NotKept)
    assert "another thread" in found.reason


def test_a_module_that_was_imported_before_is_no_part_of_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "early_bird.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    try:
        import early_bird  # type: ignore[import-not-found]

        load, pipeline = _observe(tmp_path, "import early_bird")
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("early_bird", None)
    del early_bird
    assert load.result(pipeline) == NotKept(
        "uses a module that was imported before it", "early_bird.py"
    )


def test_a_file_that_is_written_while_it_is_read_is_not_trusted(tmp_path: Path) -> None:
    """Also where the clock of the file system is behind that of this machine."""
    (tmp_path / "a.txt").write_text("1")
    body = (
        "import pathlib\nfile = pathlib.Path(__file__).with_name('a.txt')\nTEXT = file.read_text()"
    )
    load, pipeline = _observe(tmp_path, body)
    (tmp_path / "a.txt").write_text("22")
    found = load.result(pipeline)
    assert found == NotKept("was written while the pipeline was loaded", "a.txt")


def test_an_installed_pipeline_is_not_observed(tmp_path: Path) -> None:
    project = tmp_path / "lib/python3/site-packages"
    project.mkdir(parents=True)
    load, pipeline = _observe(project, "")
    found = load.result(pipeline)
    assert isinstance(found, NotKept)
    assert found.reason.startswith("is installed")


def test_a_file_that_was_open_before_is_seen(tmp_path: Path) -> None:
    """Else `marin-build plan 3< file` goes on with what the file held at first."""
    (tmp_path / "given.txt").write_text("1")
    number = os.open(tmp_path / "given.txt", os.O_RDONLY)
    try:
        load, pipeline = _observe(tmp_path, f"import os\nVALUE = os.read({number}, 9)")
        found = load.result(pipeline)
    finally:
        os.close(number)
    assert isinstance(found, Observations)
    assert str(tmp_path / "given.txt") in found.answers["file"]
