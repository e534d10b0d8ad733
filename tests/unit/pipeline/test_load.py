"""A pipeline file: what it offers, and what is said about one that cannot be loaded."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from marin_build.errors import MarinBuildError, SpecificationError, SpecificationErrors, UsageError
from marin_build.pipeline.load import (
    Pipeline,
    load_again,
    load_pipeline,
)
from marin_build.pipeline.started_threads import lost_threads
from marin_build.pipeline.undeclared_files import undeclared_files
from marin_build.workspace.workspace import Workspace, current_workspace

if TYPE_CHECKING:
    from pathlib import Path


class Load(Protocol):
    def __call__(self, text: str, **parameters: str) -> Pipeline: ...


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return what loads a text as a pipeline file."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})

    def load(text: str, **parameters: str) -> Pipeline:
        file = tmp_path / "my_pipeline.py"
        file.write_text("from marin_build import StepSpec, command, source\n" + text)
        return load_pipeline(str(file), Workspace(str(tmp_path), str(tmp_path / "out")), parameters)

    return load


A, B = "a = StepSpec(name='a')\n", "b = StepSpec(name='b', deps=[a])\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (A + B, ["a", "b"]),
        (A + B + "again = b\n", ["a", "b"]),
        (A + B + "targets = [b]\n", ["b"]),
        (A + B + "targets = {'x': [b], 'y': (a,)}\n", ["b", "a"]),
        (A + B + "def pipeline(): return a\ntargets = [b]\n", ["a"]),
        (A + B + "def pipeline():\n    yield b\n    yield a\n", ["b", "a"]),
        (A + "def pipeline(): return [a, None, [a]]\n", ["a", "a"]),
        ("def pipeline(n: int = 2): return [StepSpec(name=f's{i}') for i in range(n)]\n",
         ["s0", "s1"]),
    ],
)  # fmt: skip
def test_what_a_file_offers(load: Load, text: str, names: list[str]) -> None:
    assert [step.name for step in load(text).roots] == names


def test_parameters_reach_the_pipeline(load: Load) -> None:
    text = "def pipeline(n: int, tag='x'): return StepSpec(name=f'{tag}-{n + 1}')\n"
    found = load(text, n="3", tag="y")
    assert [step.name for step in found.roots] == ["y-4"]
    assert found.parameters == {"n": "3", "tag": "y"}


def test_the_prefix_is_fixed_before_the_file_is_run(load: Load, tmp_path: Path) -> None:
    found = load("a = StepSpec(name='a')\nassert a.output_path.startswith({!r})\n".format(
        f"{tmp_path}/out/"))  # fmt: skip
    assert current_workspace().prefix == str(tmp_path / "out")
    assert found.roots[0].declared == (str(tmp_path / "my_pipeline.py"), 2)


def test_modules_beside_the_file_can_be_imported(load: Load, tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("NAME = 'beside'\n")
    assert load("import beside_it\na = StepSpec(name=beside_it.NAME)\n").roots[0].name == "beside"


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("", "has no steps", None),
        ("def pipeline(): return []\n", "has no steps", None),
        ("def pipeline(): return 3\n", r"pipeline\(\) gave an int, not a step", None),
        ("targets = ['a']\n", "`targets` gave the text 'a', not a step", None),
        ("1 / 0\n", "the pipeline raised ZeroDivisionError", "my_pipeline.py:2"),
        ("def f(): raise KeyError('x')\nf()\n", "raised KeyError: 'x'", "my_pipeline.py:2"),
        ("def pipeline():\n    return {}['x']\n", "raised KeyError", "my_pipeline.py:3"),
        ("a = (\n", "raised SyntaxError", "my_pipeline.py:2"),
        ("import no_such_module_here\n", "raised ModuleNotFoundError", "my_pipeline.py:2"),
        ("import sys; sys.exit(3)\n", "raised SystemExit: 3", "my_pipeline.py:2"),
        ("def pipeline():\n    import sys; sys.exit(3)\n", "raised SystemExit: 3",
         "my_pipeline.py:3"),
        ("StepSpec(name='a b')\n", "illegal step name", "my_pipeline.py:2"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_says_why_and_where(
    load: Load, text: str, says: str, place: str | None
) -> None:
    with pytest.raises(SpecificationError, match=says) as caught:
        load(text)
    if place is not None:
        assert place in caught.value.render()


def test_all_mistakes_are_reported_with_one_run(load: Load) -> None:
    with pytest.raises(SpecificationErrors) as caught:
        load("StepSpec(name='a b')\nsource('../x')\ncommand('{y}', name='c')\nraise ValueError\n")
    shown = caught.value.render()
    for part in ("`a b`", "outside the project", "`{y}`", "ValueError"):
        assert part in shown


@pytest.mark.parametrize(
    ("text", "parameters", "says"),
    [
        (A, {"n": "1"}, "takes no parameters"),
        ("def pipeline(n): return StepSpec(name='a')\n", {}, "needs the parameter `n`"),
        ("def pipeline(n=1): return StepSpec(name='a')\n", {"m": "1"}, "no parameter `m`"),
    ],
)
def test_parameters_nobody_takes_are_refused(
    load: Load, text: str, parameters: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        load(text, **parameters)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MarinBuildError, match="no pipeline file") as caught:
        load_pipeline(str(tmp_path / "none.py"), Workspace("/p", "/p/out"), {})
    assert "marin-build init" in (caught.value.hint or "")


def test_a_missing_file_names_what_is_near(tmp_path: Path) -> None:
    """Else `init` writes a second pipeline beside the one in a folder."""
    (tmp_path / "lm").mkdir()
    (tmp_path / "main.py").touch()

    def hint(name: str) -> str:
        with pytest.raises(MarinBuildError) as caught:
            load_pipeline(str(tmp_path / name), Workspace("/p", "/p/out"), {})
        return caught.value.hint or ""

    assert "marin-build init" in hint("pipeline.py")
    (tmp_path / "lm/pipeline.py").touch()
    assert hint("pipeline.py").endswith(f"--file {os.path.relpath(tmp_path)}/lm/pipeline.py")
    (tmp_path / "train.py").touch()
    assert hint("trian.py").startswith("did you mean `train.py`")


def test_a_file_that_a_command_reads_but_does_not_declare_is_warned_of(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "count.py").touch()
    (tmp_path / "data.txt").touch()
    text = (
        "c = command(['python', 'count.py', 'data.txt', 'none.txt', '/etc/hosts'], name='c',\n"
        "            inputs={'data': source('data.txt')})\n"
        "d = command('python count.py {n} # data.txt', name='d', params={'n': 1})\n"
    )
    project = Workspace(str(tmp_path), str(tmp_path / "out"))
    warnings = undeclared_files(load(text).roots, project)
    assert [w.partition(" ")[0] for w in warnings] == ["`c`", "`d`"]
    assert all("runs `count.py`, which is not a declared input" in w for w in warnings)


def test_what_a_file_prints_is_not_taken_for_data(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a `print` breaks who reads `--json`, or the list of what `run.sh` is to build."""
    load("print('imported')\ndef pipeline():\n    print('called')\n    return StepSpec(name='a')\n")
    print("data")
    assert capsys.readouterr() == ("data\n", "imported\ncalled\n")


def test_threads_that_imports_start_are_warned_of(load: Load) -> None:
    """Else a step waits for ever for a lock of a thread that is not there, and nothing says why."""
    text = (
        "import threading\n"
        "over = threading.Event()\n"
        "threading.Thread(target=over.wait, name='poller', daemon=True).start()\n"
        "quick = threading.Thread(target=int)\n"
        "quick.start()\n"
        "quick.join()\n"
    )
    loaded = load(text + A)
    sys.modules["my_pipeline"].over.set()
    (warning,) = lost_threads(loaded.threads)
    assert "started threads: `poller`; steps are forks of it without them" in warning
    assert lost_threads(load(A).threads) == []


def test_a_file_loaded_again_sees_changed_inputs(load: Load, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("one")
    text = "c = command('wc {d}', name='c', inputs={'d': source('data.txt')})\n"
    before = load(text).roots[0].fingerprint
    (tmp_path / "data.txt").write_text("two")
    assert load(text).roots[0].fingerprint != before


def test_loading_leaves_the_folder_of_the_program_alone(load: Load) -> None:
    before = os.getcwd()
    load(A)
    assert os.getcwd() == before


EARLY = "raw = StepSpec(name='raw')\nplace = raw.output_path\n"


def test_who_keeps_a_path_is_known_and_gets_another_one_when_loaded_again(
    load: Load, tmp_path: Path
) -> None:
    """Else a step reads an empty folder, because it computed the path too early."""
    (tmp_path / "my_steps.py").write_text(f"from marin_build import StepSpec\n{EARLY}")
    found = load("import my_steps\na = StepSpec(name='a', deps=[my_steps.raw],"
                 " env_vars={'RAW': my_steps.place})\n")  # fmt: skip
    assert [step.name for step in found.asked] == ["raw"]
    here = current_workspace()
    assert found.roots[0].env_vars["RAW"].startswith(here.prefix)
    adopted = {found.asked[0].target_id: "gs://old/raw"}
    again = load_again(found, replace(here, adopted=adopted))
    assert again.roots[0].env_vars["RAW"] == "gs://old/raw"
    assert again.roots[0].fingerprint == found.roots[0].fingerprint
    assert current_workspace().adopted == adopted


def test_who_asks_for_no_path_is_not_noted(load: Load) -> None:
    found = load(A + B + "targets = [command('x {a}', name='c', deps={'a': a})]\n")
    assert found.asked == ()
    assert found.roots[0].dep_paths  # asked for later: nobody listens
    assert found.asked == ()


def test_what_is_installed_is_not_imported_again(load: Load, tmp_path: Path) -> None:
    """Else a library that may be imported once only breaks the second loading."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "my_library.py").write_text(
        "import sys\nsys.my_loads = getattr(sys, 'my_loads', 0)+1\n"
    )
    sys.path.insert(0, str(folder))
    found = load("import sys, my_library\n" + A)
    load_again(found, current_workspace())
    assert sys.my_loads == 1  # type: ignore[attr-defined]
    del sys.my_loads  # type: ignore[attr-defined]
