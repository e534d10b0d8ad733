"""The settings of the engine `container`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marin_build.engines.bundle_setting import BUNDLE_LIMIT, check_bundle_limit
from marin_build.errors import UsageError


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """`[tool.marin-build.container]`.

    Args:
        image: for steps whose resources name none, best with its digest; without it, such steps run
            outside any container.
        runtime: the program that runs containers; None: podman, or else docker.
        program: what runs inside, found in the image's PATH.
        network: what `--network` gets; None: `none` where the prefix is on a disk, else the
            runtime's default.
        volumes: further places that steps see, `/data:/data:ro`.
        options: further options of `run`, such as `--shm-size=8g`.
        code_from: where steps find the project's code: `project`, its folder, which they see at the
            place it has outside; `bundle`, a copy of it under the prefix; or `image`, whose working
            directory has the project's files.
        bundle_limit: bytes that such a bundle may have.
        max_containers: how many run at once; None: as many as there are cores.
        poll: seconds between two questions to the runtime about all containers.

    """

    image: str | None = None
    runtime: Literal["podman", "docker"] | None = None
    program: str = "marin-build"
    network: str | None = None
    volumes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    code_from: Literal["project", "bundle", "image"] = "project"
    bundle_limit: str = BUNDLE_LIMIT
    max_containers: int | None = None
    poll: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing, and options that are none."""
        if self.max_containers is not None and self.max_containers <= 0:
            raise UsageError("the setting `container.max_containers` is not a number above 0")
        check_bundle_limit("container", self.bundle_limit)
        if not self.poll > 0:
            raise UsageError("the setting `container.poll` is not a number above 0")
        for option in self.options:
            if not option.startswith("-"):
                raise UsageError(f"`{option}` in `container.options` is no option: it has no `-`")
