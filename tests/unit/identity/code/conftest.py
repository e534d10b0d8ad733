"""Projects on disk whose modules are imported for real."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from marin_build.identity.code.digest import Code, code_of, forget_code
from marin_build.identity.code.document import CodeDocument, code_document
from marin_build.plan.find_drift import compare
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.plan.drift import Drift


class Project:
    """Python files that can be edited and loaded again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **modules: str) -> None:
        """Write modules; `a__b` is `a/b.py`, `a__init` is `a/__init__.py`."""
        for name, text in modules.items():
            path = self.root / (name.replace("__init", "__!").replace("__", "/") + ".py")
            path = path.with_name(path.name.replace("!", "__init__"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(self, name: str = "flow") -> Any:
        """Import a module as a new program would."""
        forget_code()
        importlib.invalidate_caches()
        self.forget()
        return importlib.import_module(name)

    def forget(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "") or "").startswith(str(self.root)):
                del sys.modules[name]

    def code(self, name: str = "run") -> Code:
        return code_of(getattr(self.load(), name))

    def document(self, name: str = "run") -> CodeDocument:
        return code_document(self.code(name))

    def drift(self, **edits: str) -> Drift:
        """Return what editing modules does to the code of `flow.run`."""
        before = self.code()
        old = code_document(before)
        self.write(**edits)
        after = self.code()
        drift = compare(old, code_document(after), (before.captured, after.captured))
        assert bool(drift.parts or drift.captured) == (before.digest != after.digest), drift
        return drift


class NewProject(Protocol):
    def __call__(self, **modules: str) -> Project: ...


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewProject]:
    """Return what makes a project of modules; one a test."""
    made = Project(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(**modules: str) -> Project:
        made.write(**modules)
        return made

    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield make
    made.forget()
    forget_code()
