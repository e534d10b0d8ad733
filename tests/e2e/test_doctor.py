"""What `doctor` tells a user whose build would not work, and how to mend it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.servers.gcs import GcsServer

from .support import DIAMOND

if TYPE_CHECKING:
    from .support import Project


def _checks(project: Project, code: int) -> dict[str, Any]:
    done = project.run("doctor", "--json")
    assert done.code == code, done.err
    return {one["subject"]: one for one in json.loads(done.out)["checks"]}


def test_a_machine_on_which_all_works(project: Project) -> None:
    """Else a user cannot tell an own mistake from one of the machine."""
    project.pipeline(DIAMOND)
    checks = _checks(project, 0)
    assert [checks[one]["state"] for one in ("configuration", "machine", "prefix")] == ["ok"] * 3
    assert checks["prefix"]["findings"][0]["what"] == "conditional writes hold"
    assert project.tree(".marin-build") == {}
    shown = project.run("doctor")
    assert "ok    prefix (" in shown.out


def test_a_bucket_is_tried_with_the_credentials_of_the_user(project: Project) -> None:
    """Else wrong rights are found out after a training run, when it commits."""
    with GcsServer("outputs") as server:
        project.build_in_bucket(server.url, "gs://outputs/run")
        prefix = _checks(project, 0)["prefix"]
        assert prefix["source"] == "gs://outputs/run"
        assert prefix["findings"][0]["what"] == "conditional writes hold"
        assert "a request takes" in prefix["findings"][1]["what"]
        project.build_in_bucket(server.url, "gs://nobodys/run")
        refused = _checks(project, 4)["prefix"]
        assert (refused["state"], "gs://nobodys" in str(refused["problem"])) == ("fail", True)


def test_a_prefix_that_may_not_be_written_to(project: Project) -> None:
    """Else the first build ends with what a `doctor` could have told."""
    (project.root / "file").touch()
    done = project.run("doctor", "--prefix", "file/outputs")
    assert done.code == 4
    assert "fail  prefix" in done.out
    assert "Traceback" not in done.out + done.err


def test_a_broken_configuration_hides_nothing_else(project: Project) -> None:
    """Else one mistake has to be mended before the next one is seen."""
    (project.root / "marin-build.toml").write_text("jobs = 'many'\n")
    checks = _checks(project, 4)
    assert checks["configuration"]["state"] == "fail"
    assert checks["prefix"]["state"] == "ok"
