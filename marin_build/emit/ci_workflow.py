"""Workflows of CI systems, rendered from templates. Pure."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.templates import Templates

System = Literal["github", "gitlab"]
WRITTEN_BY = "# Written by `marin-build ci "
"""How each workflow of ours begins."""
PLACES: dict[System, str] = {
    "github": ".github/workflows/marin-build.yml",
    "gitlab": ".gitlab/marin-build.yml",
}
_WORD = re.compile(r"[\w./:@=+,-]+")
"""Words that a shell splits and leaves as they are: options of the pipeline."""


@dataclass(frozen=True, slots=True)
class CiOptions:
    """What a workflow is written for.

    Args:
        branch: the branch whose pushes are applied.
        environment: the deployment environment, whose rules may ask for approval; None: none.
        install: the shell command that installs the project and marin-build.
        python: the version of Python.
        timeout: minutes that a build may take.
        cron: when the drift check runs, as five fields; None: never.
        cache: a folder that the CI system keeps from run to run, with outputs that lie in no
            bucket; None: none.
        gcp_provider: the workload identity provider in Google Cloud; None: no login there.
        aws_region: the region to log in to in AWS; None: no login there.
        plan_account, apply_account: the service account or role that plans, and the one that
            builds; the first should only read.

    """

    branch: str = "main"
    environment: str | None = "production"
    install: str = "pip install --editable ."
    python: str = "3.12"
    timeout: int = 360
    cron: str | None = "17 3 * * *"
    cache: str | None = None
    gcp_provider: str | None = None
    aws_region: str | None = None
    plan_account: str | None = None
    apply_account: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no workflow can hold."""
        if self.gcp_provider and self.aws_region:
            raise UsageError("a workflow logs in to Google Cloud or to AWS, not to both")
        has_cloud = bool(self.gcp_provider or self.aws_region)
        if has_cloud != bool(self.plan_account and self.apply_account):
            raise UsageError(
                "a login needs a provider and two accounts: one that plans, one that builds",
                hint="--gcp-provider or --aws-region, with --plan-account and --apply-account",
            )
        for each in fields(self):
            value = getattr(self, each.name)
            # An expression in a value would be replaced by what a stranger wrote, before any shell.
            if isinstance(value, str) and ("${{" in value or not value.isprintable()):
                raise UsageError(
                    f"`{value}` can stand in no workflow", facts=[("option", each.name)]
                )
        if self.cron is not None and len(self.cron.split()) != _CRON_FIELDS:
            raise UsageError(f"`{self.cron}` is no schedule", hint='--cron "17 3 * * *"')


_CRON_FIELDS = 5
_BLANK_INSIDE = re.compile(r"\n\n(?= {4})")
"""An empty line inside a job: the ends of Jinja's raw blocks leave some."""


def ci_workflow(
    system: System, options: CiOptions, pipeline: Sequence[str], templates: Templates
) -> str:
    """Return the text of a workflow.

    Args:
        system: whose.
        options: what it is written for.
        pipeline: words that name the pipeline on the command line: `-f`, `lm/pipeline.py`.
        templates: ours, or those of the project.

    Raises:
        UsageError: a word of these is not plain.
        SpecificationError: the template is missing or malformed.

    """
    for word in pipeline:
        if _WORD.fullmatch(word) is None:
            raise UsageError(
                f"the option `{word}` has characters that no workflow can pass on",
                hint="put it into the configuration, or into a profile",
            )
    given = [
        f"--{each.name.replace('_', '-')}={getattr(options, each.name) or ''}"
        for each in fields(options)
        if getattr(options, each.name) != each.default
    ]
    text = templates.render(
        f"ci/{system}.yml.j2",
        written_by=shlex.join(["marin-build", "ci", system, *given, *pipeline]),
        options=" ".join(pipeline),
        cloud=bool(options.gcp_provider or options.aws_region),
        **{each.name: getattr(options, each.name) for each in fields(options)},
    )
    return _sealed(_BLANK_INSIDE.sub("\n", text))


def is_as_written(text: str) -> bool:
    """Return whether a workflow is one of ours that no one has edited since."""
    body, mark, _ = text.rpartition(_SEAL)
    return text.startswith(WRITTEN_BY) and bool(mark) and _sealed(body) == text


def _sealed(body: str) -> str:
    """Return a workflow with a last line by which an edit of it is noticed."""
    return f"{body}{_SEAL}{hashlib.sha256(body.encode()).hexdigest()[:16]}\n"


_SEAL = "# as written: "
