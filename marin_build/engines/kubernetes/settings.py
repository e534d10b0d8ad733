"""The settings of the engine `kubernetes`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError
from marin_build.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


_DEFAULT_DEADLINE = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """`[tool.marin-build.kubernetes]`.

    Args:
        image: for steps that name none; best with its digest.
        namespace, service_account, queue, priority_class: of the cluster; the last two Kueue's.
        working_dir: where the project is inside the image.
        secrets: names of Secrets whose keys become environment variables.
        deadline: seconds after which a step without a time-out is given up; without one, a node
            that crashes its pods again and again would be given new ones for ever.
        keep_finished: seconds a finished Job stays; its name is taken for that long.

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


def parse_kubernetes_settings(table: Mapping[str, Any]) -> KubernetesSettings:
    """Return the engine's settings.

    Raises:
        UsageError: an unknown key or a value of the wrong type.

    """
    known = KubernetesSettings.__dataclass_fields__
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"unknown setting `kubernetes.{key}`", hint=did_you_mean(key, known))
        match key, value:
            case "secrets", list() if all(isinstance(name, str) for name in value):
                pass
            case "secrets", _:
                raise UsageError("the setting `kubernetes.secrets` is not a list of names")
            case (("deadline" | "keep_finished"), int()) if (
                not isinstance(value, bool) and value > 0
            ):
                pass
            case (("deadline" | "keep_finished"), _):
                raise UsageError(f"the setting `kubernetes.{key}` is not an integer above 0")
            case _, str():
                pass
            case _:
                raise UsageError(f"the setting `kubernetes.{key}` is not a string")
    values = dict(table)
    if "secrets" in values:
        values["secrets"] = tuple(values["secrets"])
    return KubernetesSettings(**values)
