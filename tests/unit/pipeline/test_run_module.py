"""A pipeline inside a package: it imports what its import would, and leaves sane names behind."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from marin_build.errors import SpecificationError, UsageError
from marin_build.pipeline.load import Pipeline, load_again, load_pipeline
from marin_build.pipeline.locate import locate
from marin_build.workspace.workspace import Workspace, current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = "from marin_build import StepSpec\n"


class Load(Protocol):
    def __call__(self, named: str, files: dict[str, str], **parameters: str) -> Pipeline: ...


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return what writes files of a project and loads a pipeline of it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {**sys.modules}

    def load(named: str, files: dict[str, str], **parameters: str) -> Pipeline:
        for path, text in {"pyproject.toml": "", **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        module = locate(named, [str(tmp_path)], str(tmp_path))
        return load_pipeline(module, Workspace(str(tmp_path), f"{tmp_path}/out"), parameters)

    yield load
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
    sys.modules.update(before)


PACKAGE = {
    "src/wordy/__init__.py": "LOADED = 'the package'\n",
    "src/wordy/names.py": "NAME = 'words'\n",
    "src/wordy/daily.py": f"{STEP}from . import LOADED\nfrom .names import NAME\n"
    "import wordy\ndef build(output): return LOADED\n"
    "words = StepSpec(name=NAME, fn=build)\n",
}


@pytest.mark.parametrize("named", ["wordy.daily", "src/wordy/daily.py"])
def test_relative_imports_work_in_a_project_that_is_not_installed(load: Load, named: str) -> None:
    found = load(named, PACKAGE)
    (words,) = found.roots
    assert words.name == "words"
    module = sys.modules["wordy.daily"]
    assert sys.modules["wordy"].daily is module
    assert (module.__package__, module.__name__) == ("wordy", "wordy.daily")
    function: Any = words.fn
    assert pickle.loads(pickle.dumps(function)) is function


def test_packages_without_init_are_those_of_src(load: Load) -> None:
    files = {path: text for path, text in PACKAGE.items() if "__init__" not in path}
    text = files["src/wordy/daily.py"].replace("from . import LOADED\n", "LOADED = 1\n")
    found = load("src/wordy/daily.py", {**files, "src/wordy/daily.py": text})
    assert found.roots[0].name == "words"


def test_a_single_file_imports_from_the_src_of_its_project(load: Load) -> None:
    files = {**PACKAGE, "pipeline.py": "from wordy.daily import words\n"}
    assert load("pipeline.py", files).roots[0].name == "words"


def test_an_installed_copy_does_not_take_the_place_of_the_packages_own_modules(
    load: Load, tmp_path: Path
) -> None:
    """Else an edited helper does nothing until it is installed again."""
    copy = tmp_path / "site-packages/wordy"
    copy.mkdir(parents=True)
    (copy / "__init__.py").write_text("LOADED = 'the copy'\n")
    (copy / "names.py").write_text("NAME = 'copied'\n")
    sys.path.insert(0, str(copy.parent))
    __import__("wordy.names")
    assert load("wordy.daily", PACKAGE).roots[0].name == "words"


def test_a_module_beside_the_pipeline_does_not_take_the_place_of_pythons_own(load: Load) -> None:
    """Else a package with a `tokenize.py` breaks whatever imports Python's."""
    files = {**PACKAGE, "src/wordy/this.py": "raise RuntimeError\n",
             "src/wordy/beside.py": "NAME = 'beside'\n"}  # fmt: skip
    files["src/wordy/daily.py"] += "import beside, this\n"
    assert load("src/wordy/daily.py", files).roots[0].name == "words"


def test_a_pipeline_that_its_package_imports_is_run_once(load: Load) -> None:
    files = {
        **PACKAGE,
        "src/wordy/__init__.py": "LOADED = ''\nRUNS = []\nfrom . import daily\n",
        "src/wordy/daily.py": PACKAGE["src/wordy/daily.py"] + "wordy.RUNS.append(1)\n",
    }
    load("wordy.daily", files)
    assert sys.modules["wordy"].RUNS == [1]


def test_a_package_may_be_the_pipeline(load: Load) -> None:
    files = {**PACKAGE, "src/wordy/__init__.py": "LOADED = ''\nfrom .daily import words\n"}
    assert load("wordy", files).roots[0].name == "words"


def test_what_it_kept_of_another_place_is_loaded_again_with_it(load: Load) -> None:
    """Else a step reads an empty folder, because its package computed the path too early."""
    files = {
        **PACKAGE,
        "src/wordy/names.py": f"{STEP}NAME = 'words'\nraw = StepSpec(name='raw')\n"
        "PLACE = raw.output_path\n",
        "src/wordy/daily.py": f"{STEP}from .names import PLACE, raw\n"
        "words = StepSpec(name='words', deps=[raw], env_vars={'RAW': PLACE})\n",
    }
    found = load("wordy.daily", files)
    elsewhere = Workspace(current_workspace().project, "/elsewhere")
    again = load_again(found, elsewhere)
    (words,) = (step for step in again.roots if step.name == "words")
    assert words.env_vars["RAW"].startswith("/elsewhere/raw_")


SEVERAL = (
    f"{STEP}def pipeline(): return StepSpec(name='all')\n"
    "def nightly(n: int = 1): return [StepSpec(name=f'night{i}') for i in range(n)]\n"
    "weekly = [StepSpec(name='week')]\nmonthly = StepSpec(name='month')\n_own = 1\n"
)


@pytest.mark.parametrize(
    ("wanted", "parameters", "names"),
    [
        ("", {}, ["all"]),
        (":nightly", {"n": "2"}, ["night0", "night1"]),
        (":weekly", {}, ["week"]),
        (":monthly", {}, ["month"]),
    ],
)
def test_what_is_wanted_of_a_pipeline_may_be_named(
    load: Load, wanted: str, parameters: dict[str, str], names: list[str]
) -> None:
    found = load(f"several.py{wanted}", {"several.py": SEVERAL}, **parameters)
    assert [step.name for step in found.roots] == names


def test_a_function_that_is_not_there_is_told_with_those_that_are(load: Load) -> None:
    with pytest.raises(UsageError, match="the pipeline has no `nightli`") as caught:
        load("several.py:nightli", {"several.py": SEVERAL})
    assert dict(caught.value.facts)["it has"] == "pipeline, nightly, weekly, monthly"
    assert "nightly" in (caught.value.hint or "")


def test_parameters_of_a_list_are_refused_by_its_name(load: Load) -> None:
    with pytest.raises(UsageError, match="`weekly` takes no parameters"):
        load("several.py:weekly", {"several.py": SEVERAL}, n="2")


def test_a_module_that_is_nowhere_is_told_with_the_places(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no pipeline file or module `wordy\.never`") as caught:
        load("wordy.never:nightly", PACKAGE)
    assert dict(caught.value.facts)["looked in"] == (
        f"{tmp_path}/src\n{tmp_path}\nthe installed packages"
    )


def test_what_its_package_raises_is_told_with_the_place(load: Load) -> None:
    files = {**PACKAGE, "src/wordy/__init__.py": "1 / 0\n"}
    with pytest.raises(SpecificationError, match="raised ZeroDivisionError") as caught:
        load("wordy.daily", files)
    assert dict(caught.value.facts)["at"] == "src/wordy/__init__.py:1"
    assert "wordy.daily" not in sys.modules
