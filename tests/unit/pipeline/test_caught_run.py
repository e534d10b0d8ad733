"""A file that would run its steps is a pipeline: its call says which they are, and nothing runs."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol

import pytest

from marin_build import StepRunner, StepSpec
from marin_build.errors import SpecificationError, UsageError
from marin_build.pipeline.caught_run import catching_runs, is_catching
from marin_build.pipeline.load import Pipeline, load_again, load_pipeline
from marin_build.pipeline.stands_for import StandsForStep
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path


class Load(Protocol):
    def __call__(self, text: str, **parameters: str) -> Pipeline: ...


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return what loads a text as a pipeline file; with it, nothing may be run."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})

    def load(text: str, **parameters: str) -> Pipeline:
        file = tmp_path / "experiment.py"
        file.write_text("import sys\nfrom marin_build import StepRunner, StepSpec\n" + text)
        workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
        pipeline = load_pipeline(str(file), workspace, parameters)
        assert not (tmp_path / "out").exists()
        return pipeline

    return load


MAIN = """\
def steps():
    a = StepSpec(name='a', fn=lambda path: None)
    return [a, StepSpec(name='b', deps=[a], fn=lambda path: None)]

def main():
    {}

if __name__ == "__main__":
    main()
"""
RUN = "StepRunner().run(steps())"


def _names(pipeline: Pipeline) -> list[str]:
    return [step.name for step in pipeline.roots]


@pytest.mark.parametrize(
    "body",
    [
        RUN,
        "StepRunner().run(step for step in steps())",
        f"{RUN}; raise ValueError('after')",
        f"{RUN}; sys.exit(3)",
        f"try: {RUN}\n    except Exception: raise RuntimeError('it failed')",
        f"try: {RUN}\n    finally: sys.exit(1)",
        f"try: {RUN}\n    finally: raise ValueError('in finally')",
        f"try: {RUN}\n    except BaseException: pass",
        f"try: {RUN}\n    except BaseException: StepRunner().run([StepSpec(name='later')])",
        f"t = threading.Thread(target=lambda: {RUN}); t.start(); t.join()",
        f"concurrent.futures.ThreadPoolExecutor().submit(lambda: {RUN}).result()",
    ],
)  # fmt: skip
def test_however_a_program_calls_it_is_caught(
    load: Load, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    assert _names(load("import concurrent.futures, threading\n" + MAIN.format(body))) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "if '__main__' == __name__:\n    StepRunner().run([StepSpec(name='a')])\n",
        "if __name__ == '__main__' and sys.argv:\n    StepRunner().run([StepSpec(name='a')])\n",
        "StepRunner().run([StepSpec(name='a')])\n1 / 0\n",
        "def pipeline(): StepRunner().run([StepSpec(name='a')])\n",
    ],
)
def test_wherever_the_call_stands_it_is_caught(load: Load, text: str) -> None:
    assert _names(load(text)) == ["a"]


def test_people_are_told_which_call_was_caught(load: Load) -> None:
    (note,) = load(MAIN.format(RUN)).notes
    assert "`StepRunner.run` at experiment.py:8; marin-build takes its place" in note


def test_people_are_told_that_a_program_went_on(load: Load) -> None:
    body = f"try: {RUN}\n    except BaseException: pass"
    assert "except BaseException" in load(MAIN.format(body)).notes[1]


def test_a_file_that_offers_steps_otherwise_is_not_run_as_a_program(load: Load) -> None:
    guard = "if __name__ == '__main__':\n    raise AssertionError\n"
    for offer in ("a = StepSpec(name='a')\n", "def pipeline(): return StepSpec(name='a')\n",
                  "targets = [StepSpec(name='a')]\n"):  # fmt: skip
        found = load(offer + guard)
        assert (_names(found), found.notes) == (["a"], ())


def test_a_program_that_loads_itself_is_told_so(load: Load) -> None:
    body = "import marin_build; marin_build.Project.open(__file__).plan()"
    with pytest.raises(SpecificationError, match="loads itself"):
        load(MAIN.format(body))


def test_a_program_that_runs_nothing_has_no_steps(load: Load) -> None:
    with pytest.raises(SpecificationError, match="has no steps"):
        load(MAIN.format("print('hello')"))


def test_what_is_defined_under_the_guard_belongs_to_the_module(load: Load) -> None:
    """Else no worker finds a step's function, and no change of its code is seen."""
    found = load(
        "if __name__ == '__main__':\n"
        "    def f(path): return None\n"
        "    StepRunner().run([StepSpec(name='a', fn=f)])\n"
    )
    (step,) = found.roots
    assert step.fn is not None
    assert step.fn.__module__ == "experiment"
    assert sys.modules["experiment"].f is step.fn


def test_the_rest_of_the_file_is_run_once(load: Load, tmp_path: Path) -> None:
    ran = str(tmp_path / "ran")
    text = f"with open({ran!r}, 'a') as stream: stream.write('x')\n" + MAIN.format(RUN)
    found = load(text)
    assert (tmp_path / "ran").read_text() == "x"
    again = load_again(found, Workspace(str(tmp_path), str(tmp_path / "out")))
    assert _names(again) == ["a", "b"]
    assert (tmp_path / "ran").read_text() == "xx"


def test_the_file_s_own_future_imports_hold_for_its_guard(load: Load, tmp_path: Path) -> None:
    guard = "if __name__ == '__main__':\n    def f(x: Unknown): ...\n    " + RUN + "\n"
    file = tmp_path / "early.py"
    file.write_text(
        "from __future__ import annotations\nfrom marin_build import StepRunner, StepSpec\n"
        "def steps(): return [StepSpec(name='a')]\n" + guard
    )
    assert _names(load_pipeline(str(file), Workspace(str(tmp_path), "/nowhere"), {})) == ["a"]
    with pytest.raises(SpecificationError, match="NameError"):
        load("def steps(): return [StepSpec(name='a')]\n" + guard)


CLICK = """\
import click
@click.command()
@click.option("--size", type=int, required=True)
@click.option("--fast", is_flag=True)
@click.argument("more", nargs=-1)
def main(size, fast, more):
    StepRunner().run([StepSpec(name=f"a{size}{fast}" + "-".join(more))])

if __name__ == "__main__":
    main()
"""


def test_the_file_s_own_command_line_gets_the_parameters(load: Load) -> None:
    before = list(sys.argv)
    found = load(CLICK, size="3", fast="", argv="x 'y'")
    assert _names(found) == ["a3Truex-y"]
    assert sys.argv == before


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({}, "Missing option '--size'"), ({"size": "x"}, "'x' is not a valid integer"),
     ({"size": "1", "argv": "--no"}, "No such option")],
)  # fmt: skip
def test_what_the_parser_says_is_the_error(
    load: Load, parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match="does not take its arguments") as caught:
        load(CLICK, **parameters)
    assert said in caught.value.render()


def test_words_that_no_shell_reads_are_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="are no words"):
        load(CLICK, size="1", argv="'x")


def test_a_program_that_gives_up_says_why(load: Load) -> None:
    with pytest.raises(SpecificationError, match="ended before") as caught:
        load(MAIN.format("sys.exit('no bucket')"))
    assert "no bucket" in caught.value.render()


def test_environment_variables_are_parameters(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ})
    text = "import os\n" + MAIN.format("StepRunner().run([StepSpec(name=os.environ['RUN_ID'])])")
    found = load(text, **{"env:RUN_ID": "r1"})
    assert _names(found) == ["r1"]
    assert found.parameters == {"env:RUN_ID": "r1"}


def test_a_native_pipeline_takes_environment_variables_too(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ})
    text = "import os\ntargets = [StepSpec(name=os.environ['RUN_ID'])]\n"
    assert _names(load(text, **{"env:RUN_ID": "r1"})) == ["r1"]


def test_a_generator_that_needs_an_output_is_refused(load: Load) -> None:
    body = (
        "def grow():\n        first = steps()[0]\n        yield first\n"
        "        open(first.output_path + '/x').read()\n    "
        "try: StepRunner().run(grow())\n    except Exception: sys.exit(4)"
    )
    with pytest.raises(SpecificationError, match="cannot be taken before any") as caught:
        load(MAIN.format(body))
    assert "FileNotFoundError" in caught.value.render()


def test_a_mistake_in_a_step_is_told_even_if_the_program_hides_it(load: Load) -> None:
    body = (
        "try: StepRunner().run(StepSpec(name=n) for n in ('a', 'b c'))\n    except Exception: ..."
    )
    with pytest.raises(SpecificationError, match="illegal step name"):
        load(MAIN.format(body))


def test_values_that_stand_for_steps_are_steps(load: Load) -> None:
    text = (
        f"from {__name__} import Handle\n"
        "if __name__ == '__main__':\n    StepRunner().run([Handle('a')])\n"
    )
    sys.modules[__name__] = sys.modules.get(__name__) or sys.modules["__main__"]
    assert _names(load(text)) == ["a"]
    assert _names(load(f"from {__name__} import Handle\nhandle = Handle('a')\n")) == ["a"]


class Handle(StandsForStep):
    """A value of a dialect."""

    def __init__(self, name: str) -> None:
        self._step = StepSpec(name=name)

    @property
    def lowered_step(self) -> StepSpec:
        return self._step


def test_a_thread_that_ran_before_is_not_the_pipeline_s(tmp_path: Path) -> None:
    """A program may run steps in one thread, and plan a pipeline in another one."""
    started, caught, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        started.set()
        caught.wait()
        seen.append(is_catching())

    thread = threading.Thread(target=other)
    thread.start()
    started.wait()
    with catching_runs(str(tmp_path / "x.py")):
        assert is_catching()
        caught.set()
        thread.join()
    assert seen == [False]
    assert not is_catching()


def test_outside_a_loading_a_program_runs_its_steps(tmp_path: Path) -> None:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        StepRunner().run([StepSpec(name="a", fn=lambda _: 3)])
    assert list((tmp_path / "out").glob("a_*/.executor_status"))
