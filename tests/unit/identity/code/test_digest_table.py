"""What a user would lose: every output would be reported as built by other code after an update."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from marin_build.identity.code.digest import code_digest
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    import pytest

DATA = Path(__file__).parents[3] / "data"
FOLDER = DATA / "code_digests"
TABLE: dict[str, str] = json.loads((DATA / "code_digests.json").read_text())


def _subjects() -> list[str]:
    """Return the names that `flow.py` binds to functions, and to what holds some."""
    names = []
    for statement in ast.parse((FOLDER / "varied" / "flow.py").read_text()).body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.append(name)
            case ast.Assign(targets=[target]):
                names.extend(node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    return [name for name in names if name.islower() and not name.startswith("_")]


def test_every_function_has_the_digest_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(FOLDER))
    with in_workspace(Workspace(str(FOLDER), "/nowhere")):
        flow = importlib.import_module("varied.flow")
        assert {name: code_digest(getattr(flow, name)) for name in _subjects()} == TABLE
