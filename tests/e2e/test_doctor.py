"""What `doctor` tells a user whose build would not work, and how to mend it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.servers.gcs import GcsServer

from .support import BIN, DIAMOND, cases

if TYPE_CHECKING:
    import pytest

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
    assert checks["prefix"]["findings"][1]["what"].startswith("leases are ")
    shown = project.run("doctor")
    assert "ok    prefix (" in shown.out


def test_leases_are_what_the_configuration_says(project: Project) -> None:
    """Else `doctor` speaks of locks where the next build writes documents."""
    project.pipeline(DIAMOND)
    project.write("marin-build.toml", 'lease_by = "documents"\n')
    said = [one["what"] for one in _checks(project, 0)["prefix"]["findings"]]
    assert "leases are documents: the setting `lease_by` says so" in said
    assert project.run("apply").code == 0
    project.write("marin-build.toml", 'lease_by = "kernel"\n')
    refused = _checks(project, 4)["prefix"]["problem"]
    assert "others build there by documents" in str(refused)
    assert "others build there by documents" in project.run("apply", "--force", "report").err


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


@cases(
    "table environment words",
    container=("", {"PATH": "EMPTY"}, "`podman` is not installed here"),
    slurm=("", {"PATH": "EMPTY"}, "is not installed here"),
    ray=('address = "http://127.0.0.1:1"', {}, "Ray gives no answer"),
    kubernetes=("", {"KUBECONFIG": "/no/such/file"}, "no cluster is configured here"),
    tpu_vm=(
        'project = "my-project"\nzone = "us-east5-a"',
        {
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": "http://127.0.0.1:1/",
        },
        "the Cloud TPU API gives no answer",
    ),
)
def test_an_engine_that_gives_no_answer_is_as_bad_as_it_is_needed(
    project: Project,
    request: pytest.FixtureRequest,
    table: str,
    environment: dict[str, str],
    words: str,
) -> None:
    """Else a check before a run of days is green, or red for a cluster that nobody uses."""
    name = request.node.callspec.id.replace("_", "-")
    only_ours = project.root / "bin"
    only_ours.mkdir()
    os.symlink(BIN / "python", only_ours / "python")
    project.environment |= {
        k: str(only_ours) if v == "EMPTY" else v for k, v in environment.items()
    }

    def state(text: str, *args: str, code: int) -> tuple[str, str]:
        project.write("marin-build.toml", text)
        done = project.run("doctor", "--json", *args)
        assert done.code == code, done.out + done.err
        (check,) = (c for c in done.document["checks"] if c["subject"] == f"engine {name}")
        (bad,) = (found for found in check["findings"] if found["state"] != "ok")
        assert (bad["remedy"] is None) == (check["state"] == "note")
        return check["state"], bad["what"]

    named = f"[{name}]\n{table}\n"
    if not table:
        assert state("", code=0)[0] == "note"
        assert state(named, code=0)[0] == "warn"
    said = state(f'engine = "{name}"\n{named}', code=4)
    assert (said[0], words in said[1]) == ("fail", True), said
    assert state(f'engine = "gpu={name},hosts=local"\n{named}', code=4) == said
    assert state(named, "--engine", name, code=4) == said


def test_a_setting_that_names_no_engine_is_a_mistake_of_the_configuration(project: Project) -> None:
    """Else all is well until the first build."""
    for engine in ("slrum", "gpu=slrum,image=container"):
        project.write("marin-build.toml", f'engine = "{engine}"\n')
        checks = _checks(project, 4)
        assert checks["configuration"]["problem"]["what"] == "unknown engine `slrum`"
        assert checks["prefix"]["state"] == "ok"
