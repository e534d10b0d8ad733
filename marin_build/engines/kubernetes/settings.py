"""The settings of the engine `kubernetes`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    LARGEST_INT32,
    image_problem,
    label_problem,
    name_problem,
    named_by_label_problem,
)
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.errors import Fact

_DEFAULT_DEADLINE = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """The table `[tool.marin-build.kubernetes]`.

    Args:
        image: for steps whose resources name none; best with its digest.
        namespace: of the cluster.
        service_account: of the pods.
        queue: a local queue of Kueue.
        priority_class: a priority class of Kueue.
        working_dir: where the project is inside the image; by default the image's own.
        secrets: names of Secrets whose keys become environment variables.
        deadline: seconds that a job may take beside the time-outs of its tries: for waiting, pulls
            of images and tries that are not counted; without one, a node that crashes its pods
            again and again would be given new ones for ever. It is all a step without a time-out
            has.
        keep_finished: seconds that a finished Job stays; no other Job can have its name until then.

    """

    image: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    queue: str | None = None
    priority_class: str | None = None
    working_dir: str | None = None
    secrets: tuple[str, ...] = ()
    deadline: int = _DEFAULT_DEADLINE
    keep_finished: int = _DEFAULT_DEADLINE

    def __post_init__(self) -> None:
        """Refuse what a cluster would refuse."""
        for key in ("deadline", "keep_finished"):
            if not 0 < getattr(self, key) <= LARGEST_INT32:
                raise UsageError(
                    f"the setting `kubernetes.{key}` is not an integer from 1 to {LARGEST_INT32}"
                )
        for key, rule in _RULES.items():
            value: str | None = getattr(self, key)
            if value is not None and (problem := rule(value)):
                raise UsageError(f"the setting `kubernetes.{key}` {problem}", facts=_shown(value))
        for secret in self.secrets:
            if problem := name_problem(secret):
                raise UsageError(
                    f"the setting `kubernetes.secrets`: `{secret}` {problem}", facts=_shown(secret)
                )


def _folder_problem(folder: str) -> str | None:
    return None if folder.startswith("/") else "is not the absolute path of a folder"


def _shown(value: str) -> list[Fact]:
    return [("value", repr(value))]


_RULES: Mapping[str, Callable[[str], str | None]] = {
    "image": image_problem,
    "namespace": label_problem,
    "service_account": name_problem,
    "queue": named_by_label_problem,
    "priority_class": named_by_label_problem,
    "working_dir": _folder_problem,
}
