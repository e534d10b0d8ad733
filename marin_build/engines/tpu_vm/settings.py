"""The settings of the engine `tpu-vm`, from the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - the types of settings are read at run time
from dataclasses import dataclass, field
from typing import Any, Literal

from marin_build.engines.bundle_setting import BUNDLE_LIMIT, check_bundle_limit
from marin_build.errors import UsageError

OUR_LABELS = ("managed-by", "marin-build-job", "marin-build-target")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,61}[a-z0-9]", re.ASCII)
_ZONE = re.compile(r"[a-z]+-[a-z]+[0-9]+-[a-z]", re.ASCII)
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TpuVmSettings:
    """`[tool.marin-build.tpu-vm]`.

    Args:
        project: the Google Cloud project that pays.
        zone: where the machines are, `us-east5-a`.
        runtime_version: the software of the machines; None: the usual one of their generation.
        service_account: the e-mail address of the account that the machines act as; None: the
            default one of Compute Engine.
        network: of the machines; None: the project's default network.
        subnetwork: in that network.
        internal_ips: whether the machines have no external addresses. Then their network must lead
            to Google's services.
        reserved: whether steps that are not preemptible use a reservation of the project.
        valid_until: hours after which a request is given up for which there was no capacity; None:
            it waits until it is deleted.
        labels: further labels of the machines, for bills.
        tags: network tags of the machines, for firewalls.
        image: the container image that steps run in which name none; None: they run on the machine.
        options: further options of `docker run`.
        setup: lines of shell that each machine runs before, as root, such as
            `gcloud auth configure-docker us-docker.pkg.dev --quiet`.
        program: the program that a step runs, on the machine or in the image.
        linger: minutes that machines wait for `apply` to fetch the words of a failure, until they
            delete themselves.
        max_jobs: how many queued resources may wait or run at once.
        code_from: where steps find the project's code: `bundle`, a copy of it under the prefix; or
            `image`, whose working directory has the project's files.
        bundle_limit: bytes that such a bundle may have.
        poll: seconds between two questions to the API.

    """

    project: str | None = None
    zone: str | None = None
    runtime_version: str | None = None
    service_account: str | None = None
    network: str | None = None
    subnetwork: str | None = None
    internal_ips: bool = False
    reserved: bool = False
    valid_until: float | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    image: str | None = None
    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    program: str = "marin-build"
    linger: float = 10
    max_jobs: int = 16
    code_from: Literal["bundle", "image"] = "bundle"
    bundle_limit: str = BUNDLE_LIMIT
    poll: float = 15.0

    def __post_init__(self) -> None:
        """Refuse what the API would refuse, and what would lead a request elsewhere."""
        for key in ("valid_until", "max_jobs", "poll"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise UsageError(f"the setting `tpu-vm.{key}` is not a number above 0")
        if not 0 <= self.linger < float("inf"):
            raise UsageError("the setting `tpu-vm.linger` is no number of minutes")
        check_bundle_limit("tpu-vm", self.bundle_limit)
        if self.project is not None and not _PROJECT.fullmatch(self.project):
            raise UsageError(
                f"the setting `tpu-vm.project` is no id of a project: `{self.project}`"
            )
        if self.zone is not None and not _ZONE.fullmatch(self.zone):
            raise UsageError(
                f"the setting `tpu-vm.zone` is no zone: `{self.zone}`",
                hint="a zone is a region and a letter, such as us-east5-a",
            )
        for name, value in self.labels.items():
            if name in OUR_LABELS:
                raise UsageError(f"marin-build sets the label `{name}` itself")
            is_value = isinstance(value, str) and _LABEL_VALUE.fullmatch(value)
            if not _LABEL.fullmatch(name) or not is_value:
                raise UsageError(
                    f"`tpu-vm.labels.{name}` cannot be a label of Google Cloud",
                    hint="lower-case letters, digits, `_` and `-`, at most 63 of them",
                )
        for option in self.options:
            if not option.startswith("-"):
                raise UsageError(f"`{option}` in `tpu-vm.options` is no option: it has no `-`")
        for line in self.setup:
            if "\n" in line or "\0" in line:
                raise UsageError("a line of `tpu-vm.setup` is more than one line")
