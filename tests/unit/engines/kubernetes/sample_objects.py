"""Objects that a server takes, for tests that change one thing in them."""

from __future__ import annotations

import copy
import re
from typing import Any

import yaml

from marin_build import ResourceConfig, StepSpec
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

BUCKET = Workspace("/project", "gs://bucket/out")
SETTINGS = {
    "image": "registry.example/lm:1", "namespace": "research", "service_account": "builder",
    "queue": "tpus", "secrets": ["hub-token"],
}  # fmt: skip


def emitted(*steps: StepSpec, **settings: Any) -> dict[str, str]:
    """Return the files of a plan that builds these steps."""
    with in_workspace(BUCKET):
        targets = make_targets(build_graph(steps), BUCKET)
        seen = dict.fromkeys(range(len(targets)), Observed())
        plan = make_plan(targets, Snapshot(seen), targets.requested)
        table = Table("kubernetes", settings or SETTINGS, "here")
        engine = open_engine("kubernetes", {"kubernetes": table})
        return emit_for(engine, plan, pipeline="p.py", parameters={}, overrides=None)


def manifest_of(step: StepSpec) -> dict[str, Any]:
    """Return the manifest of one step."""
    with in_workspace(BUCKET):
        files = emitted(step)
        document: dict[str, Any] = yaml.safe_load(files[f"steps/{step.target_id}/job.yaml"])
    job = document["spec"]
    if document["kind"] == "JobSet":
        job = job["replicatedJobs"][0]["template"]["spec"]
    pod = job["template"]["spec"]
    del pod["volumes"], pod["containers"][0]["volumeMounts"]  # tests mount what they are about
    return document


def step(resources: ResourceConfig, name: str = "train") -> StepSpec:
    """Return a step with three variables."""
    variables = {"GREETING": "hello", "NUMBER": "32", "YES": "yes"}
    return StepSpec(name=name, fn=print, env_vars=variables, resources=resources)


def parts(path: str) -> list[str | int]:
    """Return the keys of a path: `spec.rules[2].name` has four; `labels[a.b/c]` two."""
    found = re.findall(r"\[([^\]]+)\]|([^.\[\]]+)", path)
    return [int(index) if index.isdigit() else index or name for index, name in found]


def changed(sample: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with values at paths; `...` deletes, and one past its end lengthens a list."""
    document = copy.deepcopy(sample)
    for path, value in changes.items():
        *above, last = parts(path)
        place: Any = document
        for key in above:
            place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
        if value is ...:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return document
