"""The settings of the engine `kubernetes`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from marin_build.errors import UsageError

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
        deadline: seconds after which a step without a time-out is given up; without one, a node
            that crashes its pods again and again would be given new ones for ever.
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
        """Refuse numbers of seconds that are not integers above 0."""
        for key in ("deadline", "keep_finished"):
            if getattr(self, key) <= 0:
                raise UsageError(f"the setting `kubernetes.{key}` is not an integer above 0")
