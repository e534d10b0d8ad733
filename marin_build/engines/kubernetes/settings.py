"""The settings of the engine `kubernetes`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from marin_build.engines.bundle_setting import BUNDLE_LIMIT, check_bundle_limit
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
        context: of the kubeconfig, which names a cluster and a login; None: its current one, or, in
            a pod without a kubeconfig, the cluster and the service account of that pod.
        namespace: of the cluster; None: that of the context.
        service_account: of the pods.
        queue: a local queue of Kueue.
        priority_class: a priority class of Kueue.
        code_from: where pods find the project's code: `image`, whose `working_dir` has the
            project's files; or `bundle`, a copy of them under the prefix.
        bundle_limit: bytes that such a bundle may have.
        working_dir: where the project is inside the image; by default the image's own.
        secrets: names of Secrets whose keys become environment variables.
        deadline: seconds that a job may take beside the time-outs of its tries: for waiting, pulls
            of images and tries that are not counted; without one, a node that crashes its pods
            again and again would be given new ones for ever. It is all a step without a time-out
            has.
        keep_finished: seconds that a finished Job stays, with its pods and what they printed. It is
            longer than a run may be away, since a run reads there how a job ended.
        start_within: seconds that a pod may fail to start, because its image cannot be pulled or a
            Secret is missing; then its job is ended.
        max_jobs: how many jobs may wait or run at once.
        poll: seconds between two questions to the cluster about all jobs.

    """

    image: str | None = None
    context: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    queue: str | None = None
    priority_class: str | None = None
    code_from: Literal["image", "bundle"] = "image"
    bundle_limit: str = BUNDLE_LIMIT
    working_dir: str | None = None
    secrets: tuple[str, ...] = ()
    deadline: int = _DEFAULT_DEADLINE
    keep_finished: int = _DEFAULT_DEADLINE
    start_within: float = 600.0
    max_jobs: int = 1000
    poll: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what a cluster would refuse."""
        for key in ("deadline", "keep_finished"):
            if not 0 < getattr(self, key) <= LARGEST_INT32:
                raise UsageError(
                    f"the setting `kubernetes.{key}` is not an integer from 1 to {LARGEST_INT32}"
                )
        for key in ("start_within", "max_jobs", "poll"):
            if not getattr(self, key) > 0:
                raise UsageError(f"the setting `kubernetes.{key}` is not a number above 0")
        check_bundle_limit("kubernetes", self.bundle_limit)
        for key, rule in _RULES.items():
            value: str | None = getattr(self, key)
            if value is not None and (problem := rule(value)):
                raise UsageError(f"the setting `kubernetes.{key}` {problem}", facts=_shown(value))
        for secret in self.secrets:
            if problem := name_problem(secret):
                raise UsageError(
                    f"the setting `kubernetes.secrets`: `{secret}` {problem}", facts=_shown(secret)
                )


def _context_problem(name: str) -> str | None:
    is_option = name.startswith("-")  # of kubectl, in the script that submits a plan
    return None if name and name.isprintable() and not is_option else "is not the name of a context"


def _folder_problem(folder: str) -> str | None:
    return None if folder.startswith("/") else "is not the absolute path of a folder"


def _shown(value: str) -> list[Fact]:
    return [("value", repr(value))]


_RULES: Mapping[str, Callable[[str], str | None]] = {
    "image": image_problem,
    "context": _context_problem,
    "namespace": label_problem,
    "service_account": name_problem,
    "queue": named_by_label_problem,
    "priority_class": named_by_label_problem,
    "working_dir": _folder_problem,
}
