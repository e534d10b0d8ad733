"""Configuration: `[tool.marin-build]` in pyproject.toml, or marin-build.toml, with profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - the checker reads the annotations
from dataclasses import field, replace
from typing import Any, Literal

from marin_build.engines.registry import DEFAULT_ENGINE, OURS, is_engine
from marin_build.engines.settings import NOT_A_SETTING, Table, read_table, setting_names
from marin_build.errors import UsageError
from marin_build.protocol.lease import TIME_TO_LIVE
from marin_build.quick_dataclass import dataclass
from marin_build.store.lease_by import LeaseBy  # noqa: TC001 - the checker reads it, too
from marin_build.text.readable import did_you_mean
from marin_build.workspace.configuration import CONFIG_FILE, read_configuration
from marin_build.workspace.workspace import CodePolicy  # noqa: TC001 - the checker reads it, too

OnDrift = Literal["report", "fail"]
"""What `apply` does if a reused target drifted."""
SHORTEST_LEASE = 2.0
"""Seconds. Object stores need 20 or more: they refuse frequent writes of one object."""
SHORTEST_REPORT = 0.1
"""Seconds between two reports on what runs."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a configuration file can say; the command line wins over all of it.

    Args:
        pipeline: the pipeline, as `-f` names it: a file relative to the project, or a module, and
            perhaps a function of it.
        prefix: where outputs live; a relative folder is taken from the project.
        params: a file of parameters for the pipeline, relative to the project.
        engine: where actions run: the name of an engine, or rules that send steps to engines by
            what they ask for, `gpu=slurm,image=container`.
        jobs: targets built at once on this machine.
        isolation: `process`, `worker` or `thread`.
        log_limit: MiB of the longest log of an attempt; of a longer one the middle is cut out.
        progress_every: seconds between two reports of `apply` on what runs; 0: none. A terminal
            shows it all the time.
        protect: whether what is committed to a local disk is made read-only.
        digests: whether the contents of what is committed to a local disk are digested, for
            `verify --content`: each file is read once more.
        lease: seconds a lease holds without being renewed; a holder renews it four times as often.
            If shorter, other runs go on sooner after a machine died, at the cost of more requests.
        lease_by: what keeps other runs out on a local disk: `kernel`, its locks; `documents`, the
            leases beside the outputs alone; `auto`, the locks where they hold for all.
        code: what a change of code does to steps without a policy: `report`, `rebuild`, `ignore`.
        on_drift: what `apply` does if code, environment or identity of a reused target drifted:
            `report` says so, `fail` builds nothing and ends with exit code 5.
        templates: a folder whose templates win over ours.
        prices: a JSON file, relative to the project, with prices that replace our list prices.
        regions: prefix -> the region its bucket lies in; plans then report reads across regions.
        secrets: patterns of the names of environment variables that hold secrets, besides those
            that are known; `!NAME` says that a variable or an attribute is none.
        allowed_signers: a file of allowed signers, relative to the project, in the form that
            ssh-keygen(1) describes: a saved plan is applied only if one of them has signed it.
        budgets: how much there is of `cpu`, `ram`, `gpu`, `tpu`, or of other things steps name.
        marin_aliases: whether `marin`, `fray` and `rigging`, where they are not installed, are our
            modules of these names. A file's main guard then tells its steps, even if it has others.
        marin_era: which Marin the names stand for: `executor`, with ExecutorStep, until June 2026,
            or `artifact`, with ArtifactStep. They differ in the defaults of ResourceConfig.
        pass_env: the names of environment variables that the pipeline's file reads: they become
            parameters of it, `env:NAME`. None of them may hold a secret.
        analysis_cache: whether what loading the pipeline gave is kept, and used by commands that
            run none of its functions as long as nothing has changed that the load looked at.
        lint_ignore: the kinds of findings that `lint` leaves out (pipeline/lint/findings.py).
        engines: the tables of engines, by name; an engine reads its own when it is chosen.

    """

    pipeline: str = "pipeline.py"
    prefix: str | None = None
    params: str | None = None
    engine: str = DEFAULT_ENGINE
    jobs: int | None = None
    isolation: str = "process"
    log_limit: int = 64
    progress_every: float = 60.0
    protect: bool = False
    digests: bool = False
    lease: float = TIME_TO_LIVE
    lease_by: LeaseBy = "auto"
    code: CodePolicy | None = None
    on_drift: OnDrift = "report"
    templates: str | None = None
    prices: str | None = None
    regions: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    allowed_signers: str | None = None
    budgets: Mapping[str, int | float | str] = field(default_factory=dict)
    marin_aliases: bool = False
    marin_era: Literal["executor", "artifact"] = "executor"
    pass_env: tuple[str, ...] = ()
    analysis_cache: bool = True
    lint_ignore: tuple[str, ...] = ()
    engines: Mapping[str, Table] = field(default_factory=dict, metadata=NOT_A_SETTING)

    def __post_init__(self) -> None:
        """Refuse values that have the right type but make no sense."""
        for key in ("jobs", "log_limit"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise UsageError(f"the setting `{key}` must be at least 1")
        if self.progress_every and not SHORTEST_REPORT <= self.progress_every < math.inf:
            raise UsageError(
                f"the setting `progress_every` must be 0, or at least {SHORTEST_REPORT:g} seconds"
            )
        if not all(isinstance(region, str) for region in self.regions.values()):
            raise UsageError(
                "the setting `regions` must map each prefix to the name of a region",
                hint='[tool.marin-build.regions] "gs://bucket" = "us-central2"',
            )
        if self.budgets:
            from marin_build.plan.capacity import parse_amount

            for name, amount in self.budgets.items():
                parse_amount(name, amount)
        if self.lease < SHORTEST_LEASE:
            raise UsageError(f"the setting `lease` must be at least {SHORTEST_LEASE:g} seconds")


def load_settings(project: str, profile: str | None = None) -> Settings:
    """Return the settings of a project, with those of a profile on top.

    Raises:
        UsageError: unreadable file, unknown key, wrong type or unknown profile.

    """
    file, table = read_configuration(project)
    profiles = table.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError("the profiles are not a table", facts=[("configuration", file)])
    settings = _on_top(Settings(), table, file)
    if profile is None:
        return settings
    if profile not in profiles:
        raise UsageError(
            f"unknown profile `{profile}`",
            facts=[
                ("configuration", file or f"none: {project} has no {CONFIG_FILE}"),
                ("profiles", ", ".join(profiles) or "none"),
            ],
            hint=did_you_mean(profile, profiles) or f"declare it: [profiles.{profile}]",
        )
    if not isinstance(profiles[profile], dict):
        raise UsageError(f"the profile `{profile}` is not a table", facts=[("configuration", file)])
    return _on_top(settings, profiles[profile], f"{file}, profile {profile}")


def _on_top(base: Settings, values: Mapping[str, Any], place: str) -> Settings:
    """Return settings with those of a table on top; the table of an engine replaces an older one.

    Raises:
        UsageError: a key is unknown, or a value has the wrong type or makes no sense.

    """
    if not values:
        return base
    ours = setting_names(Settings)
    engines = {
        name: Table(name, value, place)
        for name, value in values.items()
        if name not in ours and is_engine(name)
    }
    own = {key: value for key, value in values.items() if key not in engines}
    for name in engines:
        if not isinstance(values[name], dict):
            raise UsageError(
                f"the setting `{name}` is not a table",
                facts=[("configuration", place), ("value", repr(values[name]))],
            )
    settings = read_table(Settings, Table("", own, place), base, others=OURS)
    return replace(settings, engines={**base.engines, **engines})
