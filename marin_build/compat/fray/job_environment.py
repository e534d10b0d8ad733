"""What a job of fray finds where it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULTS = {"HF_DATASETS_TRUST_REMOTE_CODE": "1", "TOKENIZERS_PARALLELISM": "false"}
_HANDED_ON = ("MARIN_CI_DISABLE_RUNTIME_ENVS",)


@dataclass(frozen=True)
class EnvironmentConfig:
    """Where a job's code and packages are, and its variables.

    Args:
        workspace: the folder of the code; either that or
        docker_image: an image that has it.
        pip_packages: packages to install.
        env_vars: environment variables.
        secrets: credentials by name, which are not shown.
        extras: groups of dependencies to install, `tpu`.
        setup_scripts, sync_packages: of Marin's own scheduler; engines take no notice.

    Raises:
        ValueError: both a workspace and an image, or neither.

    """

    workspace: str | None = None
    docker_image: str | None = None
    pip_packages: Sequence[str] = field(default_factory=list)
    env_vars: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    extras: Sequence[str] = field(default_factory=list)
    setup_scripts: Sequence[str] | None = None
    sync_packages: Sequence[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.workspace and self.docker_image:
            raise ValueError("Cannot specify both workspace and docker_image")
        if not self.workspace and not self.docker_image:
            raise ValueError("Must specify either workspace or docker_image")


def create_environment(
    workspace: str | None = None,
    docker_image: str | None = None,
    pip_packages: Sequence[str] | None = None,
    env_vars: Mapping[str, str] | None = None,
    extras: Sequence[str] | None = None,
    setup_scripts: Sequence[str] | None = None,
    sync_packages: Sequence[str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> EnvironmentConfig:
    """Return the environment of a job, by default in the current folder.

    What the program has as credentials is not copied: a step names its secrets, and its engine
    hands them on.

    Args:
        workspace, docker_image, pip_packages, extras, setup_scripts, sync_packages, secrets: as in
            EnvironmentConfig.
        env_vars: variables, which go before the usual ones; None leaves one out.

    """
    if workspace is None and docker_image is None:
        workspace = os.getcwd()
    handed_on = {name: os.environ.get(name) for name in _HANDED_ON}
    merged = {**_DEFAULTS, **handed_on, **(env_vars or {})}
    return EnvironmentConfig(
        workspace=workspace,
        docker_image=docker_image,
        pip_packages=list(pip_packages or ()),
        env_vars={name: value for name, value in merged.items() if value is not None},
        secrets=dict(secrets or {}),
        extras=list(extras or ()),
        setup_scripts=setup_scripts,
        sync_packages=list(sync_packages or ()),
    )
