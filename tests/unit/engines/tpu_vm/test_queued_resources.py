"""Queued resources: bodies that Google's own types read, and scripts that no value escapes from."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import tpu_v2
from google.protobuf import json_format

from marin_build import ResourceConfig, StepSpec, TpuSlice, command
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.engines.tpu_vm.engine import TpuVmEngine
from marin_build.engines.tpu_vm.machine_words import job_in, name_and_number, node_ids
from marin_build.engines.tpu_vm.queued_resources import resource_name, with_id
from marin_build.engines.tpu_vm.settings import TpuVmSettings
from marin_build.errors import MarinBuildError, UsageError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decisions import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.e2e.support import check_golden
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.plan.decisions import Plan

HERE = Workspace("/a 'project'", "gs://lab/out")
PLACE = {"project": "my-project", "zone": "us-east5-a"}
SHELLCHECK = Path(sys.executable).parent / "shellcheck"


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with in_workspace(HERE):
        yield


def _plan(*steps: StepSpec) -> Plan:
    targets = make_targets(build_graph(steps), HERE)
    seen = dict.fromkeys(range(len(targets)), Observed())
    return make_plan(targets, Snapshot(seen), targets.requested)


def _emit(
    *steps: StepSpec, parameter: str = "a b", place: Any = PLACE, **settings: Any
) -> dict[str, str]:
    engine = open_engine("tpu-vm", {"tpu-vm": Table("tpu-vm", {**place, **settings}, "here")})
    return emit_for(
        engine, _plan(*steps), pipeline="p.py", parameters={"n": parameter}, overrides=None
    )


def _step(name: str = "a", slice_type: Any = "v4-8", **resources: Any) -> StepSpec:
    tpu = ResourceConfig.with_tpu(slice_type, **resources)
    return command("echo {output}", name=name, resources=tpu)


def _body(step: StepSpec, **settings: Any) -> dict[str, Any]:
    body = json.loads(_emit(step, **settings)[f"steps/{step.target_id}/queued_resource.json"])
    assert isinstance(body, dict)
    return body


def _node(body: dict[str, Any]) -> dict[str, Any]:
    node = body["tpu"]["nodeSpec"][0]["node"]
    assert isinstance(node, dict)
    return node


def _script(step: StepSpec, **settings: Any) -> str:
    return str(_node(_body(step, **settings))["metadata"]["startup-script"])


EVERYTHING = {
    "service_account": "trainer@my-project.iam.gserviceaccount.com",
    "network": "lab",
    "subnetwork": "lab-east",
    "internal_ips": True,
    "reserved": True,
    "valid_until": 6,
    "labels": {"team": "lm"},
    "tags": ["tpu"],
    "image": "us-docker.pkg.dev/lab/images/lm@sha256:" + "0" * 64,
    "options": ["--volume=/dev/shm:/dev/shm"],
    "setup": ["gcloud auth configure-docker us-docker.pkg.dev --quiet"],
}


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (_step(), {}),
        (_step(preemptible=False), EVERYTHING),
        (_step(slice_type="v5p-64"), {}),
        (_step(slice_type="v5litepod-16", slice_count=4), EVERYTHING),
        (_step(slice_type="v6e-8", hosts=1), {}),
    ],
)
def test_google_s_own_types_read_the_body(step: StepSpec, settings: dict[str, Any]) -> None:
    """Else the first thing that a person learns from the cloud is that a field is unknown."""
    body = _body(step, **settings)
    parsed = tpu_v2.QueuedResource.pb(tpu_v2.QueuedResource())
    json_format.ParseDict(body, parsed, ignore_unknown_fields=False)
    again = json_format.MessageToDict(parsed)["tpu"]["nodeSpec"][0]["node"]
    assert again["metadata"] == _node(body)["metadata"]
    assert again["labels"] == _node(body)["labels"]
    name = resource_name(HERE.prefix, step.target_id)
    sent = with_id(json.dumps(body), name, f"{name}-1", "launch", 1.5)
    json_format.ParseDict(sent, parsed, ignore_unknown_fields=False)


def test_a_body_asks_for_what_gcloud_would_ask_for() -> None:
    """Else a step runs on other machines than it asked for, or is paid for at another price."""
    body = _body(_step(slice_type="v5p-64"))
    assert body["spot"] == {}
    (part,) = body["tpu"]["nodeSpec"]
    assert part["parent"] == "projects/my-project/locations/us-east5-a"
    node = dict(part["node"])
    metadata = node.pop("metadata")
    assert metadata.pop("startup-script").startswith("#!/bin/bash\n")
    name = part["nodeId"]
    assert metadata == {
        "enable-guest-attributes": "TRUE",
        "marin-build-job": name,
        "marin-build-launch": name,
        "marin-build-queued-since": "",
    }
    labels = node.pop("labels")
    assert labels.pop("marin-build-target")
    assert labels == {"managed-by": "marin-build", "marin-build-job": name}
    assert node == {
        "acceleratorType": "v5p-64",
        "runtimeVersion": "v2-alpha-tpuv5",
        "networkConfig": {"enableExternalIps": True, "network": "default"},
    }
    assert "queueingPolicy" not in body

    body = _body(_step(slice_type="v4-16", slice_count=2, preemptible=False), **EVERYTHING)
    assert "spot" not in body
    assert body["reservationName"] == "projects/my-project/locations/us-east5-a/reservations/-"
    assert body["queueingPolicy"] == {"validUntilDuration": "21600s"}
    (part,) = body["tpu"]["nodeSpec"]
    assert part["multisliceParams"]["nodeCount"] == 2
    assert _node(body)["networkConfig"] == {
        "enableExternalIps": False,
        "network": "lab",
        "subnetwork": "lab-east",
    }
    assert _node(body)["serviceAccount"]["email"] == EVERYTHING["service_account"]


def test_a_step_on_its_own_slice_is_sent_as_it_is_described() -> None:
    """Else who gets a new generation of TPUs waits for a release of marin-build."""
    own = TpuSlice("v9-8", "v9", "2x2x1", 1, 4)
    node = _node(_body(_step(slice_type=own), runtime_version="v9-base"))
    assert (node["acceleratorType"], node["runtimeVersion"]) == ("v9-8", "v9-base")
    with pytest.raises(UsageError, match="nothing is known of the software"):
        _body(_step(slice_type=own))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"slice_type": "tpu7x-8"}, "on Kubernetes only"),
        ({"slice_type": "v5p-17920"}, "on Kubernetes only"),
        ({"slice_type": "v5litepod-8", "hosts": 2}, "of 2 hosts"),
        ({"zone": "us-central2-b"}, "run in us-central2-b, and `tpu-vm.zone` is us-east5-a"),
        ({"regions": ["europe-west4", "us-west1"]}, "run in europe-west4, us-west1"),
    ],
)
def test_machines_that_are_not_offered_are_refused(resources: dict[str, Any], said: str) -> None:
    """Else the cheap steps run first, and the request for the dear one fails an hour later."""
    with pytest.raises(MarinBuildError) as caught:
        _body(_step(**resources))
    assert said in caught.value.render()


def test_a_place_and_an_image_are_asked_for_before_anything_is_written() -> None:
    """Else a request goes to a project named None."""
    with pytest.raises(MarinBuildError) as caught:
        _emit(_step(), place={}, code_from="image")
    for part in ("tpu-vm.project", "tpu-vm.zone", "`a` names no image"):
        assert part in caught.value.render()


def test_slices_that_would_do_as_well_are_not_dropped_in_silence() -> None:
    """Else a step waits for one type for days, while another one that it names is free."""
    step = _step(slice_type=["v5p-8", "v4-8"])
    (said,) = TpuVmEngine(TpuVmSettings()).warnings(_plan(step))
    assert said == "`a` would take v4-8, too; a queued resource asks for v5p-8 only"
    assert _node(_body(step))["acceleratorType"] == "v5p-8"
    assert not TpuVmEngine(TpuVmSettings()).warnings(_plan(_step()))


def test_only_steps_with_tpus_have_queued_resources() -> None:
    """Else a tokenizer runs on a machine with chips that it does not use."""
    plain = command("echo {output}", name="plain", resources=ResourceConfig.with_cpu(2))
    files = _emit(plain, _step())
    assert f"steps/{plain.target_id}/run.sh" in files
    assert f"steps/{_step().target_id}/queued_resource.json" in files


@pytest.mark.parametrize(
    "value", ["$(touch x)", "a'b", 'a"b', "a\nb", "a;b", "`x`", "ü", "-n", "\\", "{{ x }}", "%s"]
)
@pytest.mark.parametrize("image", [None, "lab/lm:1"])
def test_hostile_parameters_reach_the_program_as_they_are(
    value: str, image: str | None, tmp_path: Path
) -> None:
    """Else a parameter runs as root on a machine with the rights of its service account."""
    (tmp_path / "bin").mkdir()
    for name in ("docker", "my program"):
        program = tmp_path / "bin" / name
        program.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$OUT"\n')
        program.chmod(0o755)
    # A metadata server that knows one word, and takes every note.
    curl = tmp_path / "bin" / "curl"
    curl.write_text(
        '#!/bin/sh\ncase $* in *marin-build-job*) printf "mb-x-1";; *--data*) cat;; esac\n'
    )
    curl.chmod(0o755)
    step = command("echo {output}", name=f"a{ord(value[0])}", resources=_step().resources)
    emitted = _emit(
        step, parameter=value, program="my program", linger=0, **({"image": image} if image else {})
    )
    script = json.loads(emitted[f"steps/{step.target_id}/queued_resource.json"])
    text = _node(script)["metadata"]["startup-script"]
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "OUT": str(tmp_path / "words"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    words = (tmp_path / "words").read_text().split("\0")
    assert f"n={value}" in words, done.stderr
    if image:
        assert words[words.index("--entrypoint") + 1 : words.index("run-step")] == [
            "my program",
            image,
        ]
    assert (tmp_path / "marin-build" / "exit-code").read_text() == "0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "marin-build", "words"]


@pytest.mark.parametrize(
    ("worker", "code", "deletes"), [(0, 0, True), (1, 0, False), (0, 4, True), (1, 137, True)]
)
def test_a_machine_tells_its_end_and_then_deletes_what_is_paid_for(
    worker: int, code: int, deletes: bool, tmp_path: Path
) -> None:
    """Else machines of a run that nobody follows stay, or vanish while other ranks still write."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "marin-build"
    program.write_text(f'#!/bin/sh\necho "$MARIN_BUILD_RANK of $MARIN_BUILD_RANKS"\nexit {code}\n')
    curl = tmp_path / "bin" / "curl"
    curl.write_text(
        '#!/bin/bash\nprintf "%s\\n" "$*" >> "$OUT"\nfor word; do case $word in\n'
        "  */agent-worker-number) printf " + str(worker) + ";;\n"
        "  */marin-build-*) printf mb-x-1;;\n"
        "  */worker-network-endpoints) printf a:b:10.0.0.7,a:b:10.0.0.8;;\n"
        '  */token) printf \'{"access_token":"hush-hush","expires_in":3}\';;\n'
        '  /dev/fd/*) cat "$word" >> "$OUT.header";;\n'
        '  @/dev/fd/*) cat "${word#@}" >> "$OUT.header";;\n'
        '  @-) cat >> "$OUT";;\nesac; done\n'
    )
    for path in (program, curl):
        path.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "OUT": str(tmp_path / "asked"),
        "STATE_DIRECTORY": str(tmp_path),
    }
    script = _script(_step(slice_type="v4-16"), linger=0)
    subprocess.run(["bash", "-c", script], env=environment, capture_output=True, check=True)
    asked = (tmp_path / "asked").read_text()
    said = base64.b64encode(f"{worker} of 2\n".encode()).decode()
    output, told = asked.index(said), asked.index("guest-attributes/marin-build/exit-code")
    assert output < told
    deletion = "/v2/projects/my-project/locations/us-east5-a/queuedResources/mb-x-1?force=true"
    assert (deletion in asked) == deletes
    assert "hush-hush" not in asked
    if deletes:
        assert told < asked.index(deletion)
        assert (tmp_path / "asked.header").read_text() == "Authorization: Bearer hush-hush\n"


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("settings", [{}, EVERYTHING])
def test_shellcheck_finds_nothing(slices: int, settings: dict[str, Any], tmp_path: Path) -> None:
    """Else a word of the script is split on a machine that nobody watches."""
    for slice_type in ("v4-8", "v5p-32"):
        script = tmp_path / f"{slice_type}.sh"
        script.write_text(_script(_step(slice_type=slice_type, slice_count=slices), **settings))
    done = subprocess.run(
        [SHELLCHECK, *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_script_that_no_machine_could_hold_is_refused() -> None:
    """Else the API refuses it, when the other steps are built."""
    step = command(f"echo {'x' * 50_000} {{output}}", name="long", resources=_step().resources)
    assert _script(step)
    with pytest.raises(MarinBuildError, match="too long"):
        _script(step, setup=[f": {'y' * 99_000}"] * 3)


@pytest.mark.parametrize("target", ["A/B_c.9", "x" * 300, "ü", "_", "a-1"])
def test_names_are_legal_and_the_same_everywhere(target: str) -> None:
    """Else a run that was killed is not found again, or Google refuses the name."""
    name = resource_name("gs://lab/out", target)
    assert name == resource_name("gs://lab/out", target) != resource_name("gs://lab/in", target)
    id_ = f"{name}-12345"
    assert len(id_) <= 61
    assert id_[0].isalpha()
    assert not set(id_) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name_and_number(id_) == (name, 12345)


def test_the_id_of_a_submit_stands_wherever_machines_look_for_it() -> None:
    """Else machines delete another queued resource than their own, or are not found by name."""
    for slices in (1, 3):
        step = _step(slice_count=slices)
        text, name = json.dumps(_body(step)), resource_name(HERE.prefix, step.target_id)
        body = with_id(text, name, f"{name}-7", "launch", 1.5)
        assert node_ids(body) == (
            [f"{name}-7"] if slices == 1 else [f"{name}-7-{k}" for k in range(3)]
        )
        metadata = _node(body)["metadata"]
        assert metadata["marin-build-job"] == f"{name}-7"
        assert metadata["marin-build-launch"] == "launch"
        assert metadata["marin-build-queued-since"] == "1.500"
        assert job_in(body, f"{name}-7") == name
        assert job_in(body, "another-7") == job_in({}, "x-1") == ""
        for broken in ("", "[]", "{}", '{"tpu": 3}', text.replace(name, "other")):
            with pytest.raises(ValueError, match=r"Expecting|object|name|queued"):
                with_id(broken, name, f"{name}-1", "launch", 1.5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"project": "a/../b"}, "tpu-vm.project"),
        ({"zone": "us-east5"}, "tpu-vm.zone"),
        ({"labels": {"Team": "x"}}, "tpu-vm.labels.Team"),
        ({"labels": {"team": 3}}, "tpu-vm.labels.team"),
        ({"labels": {"managed-by": "me"}}, "managed-by"),
        ({"options": ["x"]}, "tpu-vm.options"),
        ({"setup": ["a\nb"]}, "tpu-vm.setup"),
        ({"max_jobs": 0}, "tpu-vm.max_jobs"),
        ({"valid_until": 0}, "tpu-vm.valid_until"),
        ({"linger": -1}, "tpu-vm.linger"),
        ({"bundle_limit": "many"}, "tpu-vm.bundle_limit"),
    ],
)
def test_settings_that_google_would_refuse_are_refused(settings: dict[str, Any], said: str) -> None:
    """Else the words of a distant server say it, after the first steps have run."""
    with pytest.raises(UsageError) as caught:
        _body(_step(), **settings)
    assert said in caught.value.render()


def test_scripts_and_bodies_are_known_byte_for_byte() -> None:
    """Else what people review changes without anybody having meant it."""
    hostile = {**EVERYTHING, "program": "it's", "setup": ["echo \"$HOME\" 'x'"], "linger": 0.5}
    cases = {
        "one_host": _body(_step("one")),
        "two_slices_in_an_image": _body(_step("two", "v5p-32", slice_count=2), **EVERYTHING),
        "hostile": _body(_step("odd", "v5litepod-16", preemptible=False), **hostile),
    }
    files = {}
    for name, body in cases.items():
        script = _node(body)["metadata"].pop("startup-script")
        # Where a step is declared is a line of this file, which moves.
        files[f"{name}.sh"] = re.sub(r"(?m)^(# step .*) \(.*\)$", r"\1 (pipeline.py:1)", script)
        files[f"{name}.json"] = json.dumps(body, indent=1) + "\n"
    check_golden("tpu_vm", files)
