"""What a step runs in: read once, and only what is known of it is told."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from marin_build.protocol.provenance import (
    IMAGE_VARIABLE,
    Environment,
    distributions_of,
    installed_version,
    read_here,
    read_locks,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_locks_at_the_root_are_read_and_nothing_else(tmp_path: Path) -> None:
    """Else an upgrade that only the lock file shows goes unseen."""
    for name in ("uv.lock", "requirements.txt", "requirements-dev.txt", "notes.txt", "a.lock"):
        (tmp_path / name).write_text(name)
    (tmp_path / "poetry.lock").mkdir()  # not readable: passed over
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "uv.lock").write_text("x")
    found = read_locks(str(tmp_path))
    assert list(found) == ["requirements-dev.txt", "requirements.txt", "uv.lock"]
    (tmp_path / "uv.lock").write_text("another")
    changed = {name for name, digest in read_locks(str(tmp_path)).items() if found[name] != digest}
    assert changed == {"uv.lock"}
    assert read_locks(str(tmp_path / "gone")) == {}


def test_here_is_python_locks_and_the_image_that_the_manifest_names(tmp_path: Path) -> None:
    """Else a record does not say what built it."""
    here = read_here(str(tmp_path), {IMAGE_VARIABLE: "registry/lm@sha256:1"})
    assert (here.python, here.locks) == (platform.python_version(), {})
    assert here.image == "registry/lm@sha256:1"
    assert read_here(str(tmp_path), {}).image is None
    environment = here.with_distributions(["pydantic", "no-such-distribution-xyz"])
    assert environment.distributions == {
        "no-such-distribution-xyz": "", "pydantic": installed_version("pydantic"),
    }  # fmt: skip


def test_distributions_are_found_by_the_modules_they_provide() -> None:
    """Else `import yaml` is taken for a distribution that nobody installed."""
    assert distributions_of(["yaml"]) == {"PyYAML": installed_version("PyYAML")}
    assert distributions_of(["no_such_module_xyz"]) == {"no_such_module_xyz": ""}
    assert distributions_of([]) == {}
    assert installed_version("PyYAML")
    assert installed_version("") == ""


def test_what_a_record_does_not_say_well_is_not_known() -> None:
    """Else a record that somebody edited ends the plan of everybody."""
    assert Environment.of_record(None) == Environment()
    odd = {"python": 3, "distributions": ["numpy"], "locks": {"uv.lock": 1, "a": "b"}, "more": 1}
    assert Environment.of_record(odd) == Environment(locks={"a": "b"})
