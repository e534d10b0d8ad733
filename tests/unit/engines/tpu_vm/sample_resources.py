"""Steps with TPUs, and what the engine makes of them, for tests of its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build import ResourceConfig, StepSpec, command
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from marin_build.plan.decisions import Plan

HERE = Workspace("/a 'project'", "gs://lab/out")
PLACE = {"project": "my-project", "zone": "us-east5-a"}


def plan_of(*steps: StepSpec) -> Plan:
    """Return a plan that builds all of these steps."""
    targets = make_targets(build_graph(steps), HERE)
    seen = dict.fromkeys(range(len(targets)), Observed())
    return make_plan(targets, Snapshot(seen), targets.requested)


def emitted(
    *steps: StepSpec, parameter: str = "a b", place: Any = PLACE, **settings: Any
) -> dict[str, str]:
    """Return the files of a plan for TPU VMs."""
    engine = open_engine("tpu-vm", {"tpu-vm": Table("tpu-vm", {**place, **settings}, "here")})
    return emit_for(
        engine, plan_of(*steps), pipeline="p.py", parameters={"n": parameter}, overrides=None
    )


def sample(name: str = "a", slice_type: Any = "v4-8", **resources: Any) -> StepSpec:
    """Return a step that asks for a slice."""
    tpu = ResourceConfig.with_tpu(slice_type, **resources)
    return command("echo {output}", name=name, resources=tpu)


def body_of(step: StepSpec, **settings: Any) -> dict[str, Any]:
    """Return the queued resource of a step."""
    body = json.loads(emitted(step, **settings)[f"steps/{step.target_id}/queued_resource.json"])
    assert isinstance(body, dict)
    return body


def node_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a queued resource says of its nodes."""
    node = body["tpu"]["nodeSpec"][0]["node"]
    assert isinstance(node, dict)
    return node


def script_of(step: StepSpec, **settings: Any) -> str:
    """Return the startup script of a step."""
    return str(node_of(body_of(step, **settings))["metadata"]["startup-script"])


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
