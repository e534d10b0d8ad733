"""The parts of a statement that other tools compute again."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

from marin_build.emit.provenance_statement import (
    MOST_FILES,
    Subject,
    folder_digest,
    provenance_statement,
)
from marin_build.protocol.lineage import Ancestor
from marin_build.protocol.recipe_reader import Recipe
from marin_build.protocol.record_reader import Built

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = "ab" * 32


def _output(**recipe: object) -> Ancestor:
    built = Built("f" * 64, "r-1", "me@here", "2026-11-30T10:00:00+00:00", attempt=1)
    return Ancestor("a_1", "/p/a_1", built, Recipe(**recipe), None)  # type: ignore[arg-type]


def test_the_digest_of_a_folder_is_that_of_sha256sum(tmp_path: Path) -> None:
    """Else no other tool finds the digest that we state of a folder."""
    names = ["b.txt", "a/z.txt", "a.txt", "ä.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    command = "find . -type f | cut -c3- | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert folder_digest(digests) == said.stdout.split()[0]
    assert folder_digest({"a\nb": _DIGEST}) is None


def test_of_many_files_the_folder_is_the_subject() -> None:
    """Else the statement about a large output is as large as its list of files."""
    files = {f"{number}.txt": _DIGEST for number in range(MOST_FILES + 1)}
    statement = provenance_statement([_output()], Subject(files, _DIGEST), frozenset())
    assert [each["name"] for each in statement["subject"]] == [".", ".artifact.json"]


def test_secrets_of_attributes_and_commands_are_masked() -> None:
    """Else a page that people send to others holds a password."""
    secret = "ghp_" + "a1B2" * 9
    output = _output(
        made_by=f"curl -H {secret}",
        is_command=True,
        attributes={"api_key": "x" * 20, "url": secret},
        argv=("marin-build", secret),
        inputs={f"https://u:{secret}@h/x": _DIGEST},
    )
    said = str(provenance_statement([output], Subject({}, _DIGEST), frozenset()))
    assert secret not in said
    assert "x" * 20 not in said
