"""Scripts of containers: which places a container sees, and where it finds the code."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

import pytest

from marin_build import StepSpec, command, source
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.errors import SpecificationError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.source_digests import remember_digest
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

NAME = f"sha256:{'a' * 64}"


def _step(name: str = "a", *needs: StepSpec, **fields: Any) -> StepSpec:
    deps = {need.name: need for need in needs}
    return command("echo {output}", name=name, deps=deps, **fields)


def _source(path: str) -> Any:
    found = source(path, name=path)
    remember_digest(found, "d" * 64)
    return found


def _script(step: StepSpec, prefix: str, bundle: str | None = None, **settings: Any) -> str:
    workspace = Workspace("/project", prefix)
    with in_workspace(workspace):
        targets = make_targets(build_graph([step]), workspace)
        seen = dict.fromkeys(range(len(targets)), Observed())
        plan = make_plan(targets, Snapshot(seen), targets.requested)
        table = Table("container", {"image": "i", "runtime": "podman", **settings}, "here")
        files = emit_for(
            open_engine("container", {"container": table}),
            plan,
            pipeline="p.py",
            parameters={},
            overrides=None,
            bundle=bundle,
        )
    return files[f"steps/{targets.all[-1].id}/container.sh"]


def _volumes(script: str) -> list[str]:
    words = shlex.split(script.replace("\\\n", " "), comments=True)
    return [after for word, after in itertools.pairwise(words) if word == "--volume"]


PROJECT = "$project:$project"


@pytest.mark.parametrize(
    ("prefix", "code_from", "seen"),
    [
        ("/project/out", "project", [PROJECT]),
        ("/outputs", "project", [PROJECT, "/outputs:/outputs"]),
        ("gs://bucket/run", "project", [PROJECT]),
        ("/project/out", "bundle", ["/project/out:/project/out"]),
        ("/outputs", "bundle", ["/outputs:/outputs"]),
        ("gs://bucket/run", "bundle", []),
        ("/project/out", "image", ["/project/out:/project/out"]),
        ("gs://bucket/run", "image", []),
    ],
)
def test_a_container_sees_what_its_step_needs_and_no_more(
    prefix: str, code_from: str, seen: list[str]
) -> None:
    """Else it cannot write its output, or loads other code than the one that was meant."""
    bundle = NAME if code_from == "bundle" else None
    script = _script(_step(), prefix, bundle, code_from=code_from)
    assert _volumes(script) == seen
    assert (f"run-step --bundle {NAME} --file p.py" in script) == (code_from == "bundle")
    is_in_project = code_from == "project"
    assert ('--workdir "$project"' in script) == is_in_project
    given = "out" if is_in_project and prefix == "/project/out" else prefix
    assert f"--prefix {given} " in script
    # The command is the one that the job's own load declares: it sees no project around outputs.
    assert f"output={given}/a_" in script
    assert ("--network=none" in script) == prefix.startswith("/")


@pytest.mark.parametrize("code_from", ["project", "bundle", "image"])
def test_a_container_sees_inputs_and_outputs_elsewhere(code_from: str) -> None:
    """Else a step that is built here cannot be built in a container."""
    inputs = {"text": _source("/data/text"), "own": _source("/project/in"), "all": _source("/data")}
    remote = {"far": _source("gs://bucket/text")}
    below = _step("below", inputs=inputs, override_output_path="/raw/below")
    step = _step("top", below, inputs=remote, override_output_path="/models/top")
    script = _script(step, "/outputs", code_from=code_from)
    seen = [PROJECT] if code_from == "project" else []
    own = ["/outputs:/outputs", "/models:/models"]
    # Inputs of the whole pipeline, since it is loaded inside; none of them can be written there.
    assert _volumes(script) == [*seen, *own, "/raw:/raw:ro", "/data:/data:ro"]


@pytest.mark.parametrize("path", ["/a:b", "/a,b"])
def test_a_place_that_cannot_be_mounted_is_refused(path: str) -> None:
    """Else the runtime reads another place from it."""
    with pytest.raises(SpecificationError, match="cannot be mounted"):
        _script(_step(inputs={"text": _source(path)}), "/outputs")
