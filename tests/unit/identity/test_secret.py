"""A secret is a reference: its value is nowhere but in the step that reveals it."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from marin_build import Secret
from marin_build.errors import SpecificationError, StepFailedError
from marin_build.identity.canonical import freeze
from marin_build.identity.secret import is_secret_type, known_values

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "value", ["hunter2", "", "env:", "env:A-B", "file:", "env:A=B", "ENV:A", "https://a"]
)
def test_a_value_is_refused_and_not_shown(value: str) -> None:
    """Else the error message is where the secret becomes known."""
    with pytest.raises(SpecificationError) as caught:
        Secret(value)
    said = caught.value.render()
    assert value in ("", "env:", "file:") or value not in said


def test_it_is_read_when_it_is_revealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_file, of_variable = Secret[str](f"file:{tmp_path / 'a'}"), Secret[str]("env:A_LOGIN")
    for missing in (of_file, of_variable):
        with pytest.raises(StepFailedError, match="is not there"):
            missing.reveal()
    (tmp_path / "a").write_text("hunter2\n")
    monkeypatch.setenv("A_LOGIN", "hunter3")
    assert (of_file.reveal(), of_variable.reveal()) == ("hunter2", "hunter3")
    assert known_values()[b"hunter2"] == f"[{of_file.reference}]".encode()
    for shown in (repr(of_file), str(of_variable)):
        assert "hunter" not in shown


def test_neither_value_nor_place_is_identity() -> None:
    """Else a target is built again where its token lies elsewhere."""
    one, other = Secret[str]("env:A"), Secret[str]("file:/a")
    assert freeze({"token": one}, "a") == freeze({"token": other}, "a")
    assert one != other
    for same in (copy.deepcopy(one), pickle.loads(pickle.dumps(one)), Secret[str]("env:A")):
        assert (same, hash(same)) == (one, hash(one))


def test_its_types_are_known() -> None:
    assert all(map(is_secret_type, [Secret, Secret[str], Secret[str] | None]))
    assert not any(map(is_secret_type, [str, str | None, list[str], None]))
