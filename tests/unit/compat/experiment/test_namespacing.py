"""Names below a user's own folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.compat.experiment.namespacing import user_namespaced_name, user_owned_name
from marin_build.protocol.launch_provenance import LAUNCH_PROVENANCE_ENV, Provenance

if TYPE_CHECKING:
    import pytest


def test_dev_versions_of_two_people_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the training of one goes on from the checkpoint of the other."""
    launch = Provenance("", "", dirty=False, branch=None, built_by="ada")
    monkeypatch.setenv(LAUNCH_PROVENANCE_ENV, launch.to_json())
    assert user_namespaced_name("checkpoints/m", "dev") == "users/ada/checkpoints/m"
    assert user_namespaced_name("checkpoints/m", "2026.06.28") == "checkpoints/m"
    assert user_owned_name("m") == "users/ada/m"
