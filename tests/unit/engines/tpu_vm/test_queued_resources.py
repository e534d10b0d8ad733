"""Queued resources: bodies that Google's own types read, and names that it takes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import tpu_v2
from google.protobuf import json_format

from marin_build import ResourceConfig, StepSpec, TpuSlice, command
from marin_build.engines.tpu_vm.engine import TpuVmEngine
from marin_build.engines.tpu_vm.machine_words import job_in, name_and_number, node_ids
from marin_build.engines.tpu_vm.queued_resources import resource_name, with_id
from marin_build.engines.tpu_vm.settings import TpuVmSettings
from marin_build.errors import MarinBuildError, UsageError
from tests.e2e.support import check_golden
from tests.workspaces import in_workspace

from .sample_resources import (
    EVERYTHING,
    HERE,
    body_of,
    emitted,
    node_of,
    plan_of,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with in_workspace(HERE):
        yield


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (sample(), {}),
        (sample(preemptible=False), EVERYTHING),
        (sample(slice_type="v5p-64"), {}),
        (sample(slice_type="v5litepod-16", slice_count=4), EVERYTHING),
        (sample(slice_type="v6e-8", hosts=1), {}),
    ],
)
def test_google_s_own_types_read_the_body(step: StepSpec, settings: dict[str, Any]) -> None:
    """Else the first thing that a person learns from the cloud is that a field is unknown."""
    body = body_of(step, **settings)
    parsed = tpu_v2.QueuedResource.pb(tpu_v2.QueuedResource())
    json_format.ParseDict(body, parsed, ignore_unknown_fields=False)
    again = json_format.MessageToDict(parsed)["tpu"]["nodeSpec"][0]["node"]
    assert again["metadata"] == node_of(body)["metadata"]
    assert again["labels"] == node_of(body)["labels"]
    name = resource_name(HERE.prefix, step.target_id)
    sent = with_id(json.dumps(body), name, f"{name}-1", "launch", 1.5)
    json_format.ParseDict(sent, parsed, ignore_unknown_fields=False)


def test_a_body_asks_for_what_gcloud_would_ask_for() -> None:
    """Else a step runs on other machines than it asked for, or is paid for at another price."""
    body = body_of(sample(slice_type="v5p-64"))
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

    body = body_of(sample(slice_type="v4-16", slice_count=2, preemptible=False), **EVERYTHING)
    assert "spot" not in body
    assert body["reservationName"] == "projects/my-project/locations/us-east5-a/reservations/-"
    assert body["queueingPolicy"] == {"validUntilDuration": "21600s"}
    (part,) = body["tpu"]["nodeSpec"]
    assert part["multisliceParams"]["nodeCount"] == 2
    assert node_of(body)["networkConfig"] == {
        "enableExternalIps": False,
        "network": "lab",
        "subnetwork": "lab-east",
    }
    assert node_of(body)["serviceAccount"]["email"] == EVERYTHING["service_account"]


def test_a_step_on_its_own_slice_is_sent_as_it_is_described() -> None:
    """Else who gets a new generation of TPUs waits for a release of marin-build."""
    own = TpuSlice("v9-8", "v9", "2x2x1", 1, 4)
    node = node_of(body_of(sample(slice_type=own), runtime_version="v9-base"))
    assert (node["acceleratorType"], node["runtimeVersion"]) == ("v9-8", "v9-base")
    with pytest.raises(UsageError, match="nothing is known of the software"):
        body_of(sample(slice_type=own))


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
        body_of(sample(**resources))
    assert said in caught.value.render()


def test_a_place_and_an_image_are_asked_for_before_anything_is_written() -> None:
    """Else a request goes to a project named None."""
    with pytest.raises(MarinBuildError) as caught:
        emitted(sample(), place={}, code_from="image")
    for part in ("tpu-vm.project", "tpu-vm.zone", "`a` names no image"):
        assert part in caught.value.render()


def test_slices_that_would_do_as_well_are_not_dropped_in_silence() -> None:
    """Else a step waits for one type for days, while another one that it names is free."""
    step = sample(slice_type=["v5p-8", "v4-8"])
    (said,) = TpuVmEngine(TpuVmSettings()).warnings(plan_of(step))
    assert said == "`a` would take v4-8, too; a queued resource asks for v5p-8 only"
    assert node_of(body_of(step))["acceleratorType"] == "v5p-8"
    assert not TpuVmEngine(TpuVmSettings()).warnings(plan_of(sample()))


def test_only_steps_with_tpus_have_queued_resources() -> None:
    """Else a tokenizer runs on a machine with chips that it does not use."""
    plain = command("echo {output}", name="plain", resources=ResourceConfig.with_cpu(2))
    files = emitted(plain, sample())
    assert f"steps/{plain.target_id}/run.sh" in files
    assert f"steps/{sample().target_id}/queued_resource.json" in files


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
        step = sample(slice_count=slices)
        text, name = json.dumps(body_of(step)), resource_name(HERE.prefix, step.target_id)
        body = with_id(text, name, f"{name}-7", "launch", 1.5)
        assert node_ids(body) == (
            [f"{name}-7"] if slices == 1 else [f"{name}-7-{k}" for k in range(3)]
        )
        metadata = node_of(body)["metadata"]
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
        body_of(sample(), **settings)
    assert said in caught.value.render()


def test_scripts_and_bodies_are_known_byte_for_byte() -> None:
    """Else what people review changes without anybody having meant it."""
    hostile = {**EVERYTHING, "program": "it's", "setup": ["echo \"$HOME\" 'x'"], "linger": 0.5}
    cases = {
        "one_host": body_of(sample("one")),
        "two_slices_in_an_image": body_of(sample("two", "v5p-32", slice_count=2), **EVERYTHING),
        "hostile": body_of(sample("odd", "v5litepod-16", preemptible=False), **hostile),
    }
    files = {}
    for name, body in cases.items():
        script = node_of(body)["metadata"].pop("startup-script")
        # Where a step is declared is a line of this file, which moves.
        files[f"{name}.sh"] = re.sub(r"(?m)^(# step .*) \(.*\)$", r"\1 (pipeline.py:1)", script)
        files[f"{name}.json"] = json.dumps(body, indent=1) + "\n"
    check_golden("tpu_vm", files)
