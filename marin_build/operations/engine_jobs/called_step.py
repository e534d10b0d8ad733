"""The pipeline of one call that a program sent to an engine: a step that runs it.

`EngineClient` applies it, and the engine's job loads it again: `-f` names this module.
"""

from __future__ import annotations

from marin_build.operations.engine_jobs.sent_calls import read_call
from marin_build.pipeline.step_spec import StepSpec
from marin_build.workspace.workspace import current_workspace


def pipeline(call: str) -> StepSpec:
    """Return the step of a call.

    Args:
        call: its digest.

    Raises:
        StoppedError: it is not under the prefix.

    """
    workspace = current_workspace()
    sent = read_call(call, workspace.prefix)

    def run(output_path: str) -> None:  # noqa: ARG001 - it writes where it likes
        sent.run(workspace.project)

    return StepSpec(
        name=f"remote/{sent.name}",
        fn=run,
        hash_attrs={"call": call},
        outputs=(),
        resources=sent.resources,
        env_vars=sent.env_vars,
        retries=sent.retries,
        timeout=sent.timeout,
    )
