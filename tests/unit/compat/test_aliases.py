"""Files written for Marin are imported where Marin is not installed, and nothing else changes."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from marin_build import compat
from marin_build.compat.aliases import AliasModule
from marin_build.compat.fray import resources
from marin_build.compat.marin_names import ERAS, marin_modules
from marin_build.errors import UsageError
from marin_build.runtime import clients, job_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.compat.marin_names import Era

ROOTS = ("marin", "fray", "rigging")


@pytest.fixture(autouse=True)
def _aliases() -> Iterator[None]:
    compat.install()
    yield
    compat.uninstall()


def test_a_name_of_marin_is_one_of_ours() -> None:
    """Else experiments must be edited before anything can be planned."""
    seen: dict[str, object] = {}
    exec("from fray.cluster import ResourceConfig; from fray.types import JobRequest", seen)
    assert seen["ResourceConfig"] is resources.ResourceConfig
    assert seen["JobRequest"] is job_request.JobRequest


def test_the_newer_era_has_its_own_resources() -> None:
    """A task there is given half of a TPU's host, and 64 GB of disk."""
    compat.install("artifact")
    kind = importlib.import_module("fray.types").ResourceConfig
    assert (kind().disk, kind.with_tpu("v5p-8").cpu) == ("64g", 104)
    with pytest.raises(UsageError, match="one of executor, artifact, not `b`"):
        compat.install("b")  # type: ignore[arg-type]


def test_installing_again_changes_nothing() -> None:
    fray = importlib.import_module("fray")
    finders = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == finders
    assert sys.modules["fray"] is fray


def test_taking_the_names_away_leaves_nothing() -> None:
    importlib.import_module("fray.v1.cluster")
    compat.uninstall()
    assert [name for name in sys.modules if name.partition(".")[0] in ROOTS] == []
    with pytest.raises(ModuleNotFoundError, match="No module named 'fray'"):
        importlib.import_module("fray")


def test_a_function_of_a_package_is_not_hidden_by_the_module_of_its_name() -> None:
    """`fray.current_client` is both, and programs import both."""
    importlib.import_module("fray.current_client")
    seen: dict[str, object] = {}
    exec("from fray import current_client", seen)
    assert seen["current_client"] is clients.current_client


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("from fray.types import ResourceConfg", "no `ResourceConfg` in `fray.types`: fray is not"),
        ("from fray.types import ResourceConfg", "did you mean `ResourceConfig`"),
        ("import marin.processing.tokenize", "no `processing` in `marin`: marin is not installed"),
        ("from marin import processing", "There is execution, experiment"),
        ("from marin.execution import training", "All of it comes with marin-core"),
        ("import fray.types.Nothing", "no `Nothing` in `fray.types`"),
    ],
)
def test_what_is_not_there_is_named_with_what_there_is(statement: str, says: str) -> None:
    """Python's own words would say that a module is no package, or nothing of what there is."""
    with pytest.raises(ImportError) as caught:
        exec(statement)
    assert says in str(caught.value)


def test_asking_for_what_is_not_there_is_answered() -> None:
    """Programs probe for names before they use them."""
    types = importlib.import_module("fray.types")
    assert not hasattr(types, "Nothing")
    assert "ResourceConfig" in dir(types)
    assert "marin-build" in repr(types)


def test_other_modules_are_missing_as_before() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'levanter'"):
        importlib.import_module("levanter")


def test_marin_itself_goes_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is installed, an experiment gets the real one."""
    (tmp_path / "fray").mkdir()
    (tmp_path / "fray/__init__.py").write_text("REAL = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert importlib.import_module("fray").REAL == 1
        with pytest.raises(ModuleNotFoundError, match=r"No module named 'fray\.types'"):
            importlib.import_module("fray.types")
    finally:
        sys.modules.pop("fray", None)


def test_a_checkout_beside_the_pipeline_is_not_marin_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder `marin` on the path is a package for Python, though there is no code in it."""
    (tmp_path / "marin").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(importlib.import_module("marin"), AliasModule)


def test_no_name_is_looked_up_before_it_is_used() -> None:
    """Else every experiment waits for all of ours, and for pydantic."""
    code = (
        "import marin_build.compat as c; c.install(); import marin.execution.lazy, fray.types, sys;"
        "print(*[m for m in sys.modules if m.startswith('marin_build.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not any(name.startswith("marin_build.runtime") for name in loaded)
    assert not any(name.startswith("marin_build.compat.fray") for name in loaded)


@pytest.mark.parametrize("era", ERAS)
def test_every_name_of_the_table_is_there(era: Era) -> None:
    """Else an experiment fails at the import of a name that is promised."""
    compat.install(era)
    missing = []
    for row in marin_modules(era).values():
        module = importlib.import_module(row.name)
        for name, home in row.ours.items():
            try:
                assert getattr(module, name) is not None
            except ImportError as error:
                missing.append((row.name, home, str(error)))
    assert missing == []


def test_a_module_of_python_may_be_a_name() -> None:
    """Marin's tests replace the clock of its StepRunner by its name in that module."""
    assert importlib.import_module("marin.execution.step_runner").time is time
