"""The settings of the engine `ray`, from the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from marin_build.engines.bundle_setting import BUNDLE_LIMIT, check_bundle_limit
from marin_build.errors import SpecificationError, UsageError
from marin_build.identity.secret import Secret
from marin_build.text.secret_shapes import forms_in, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_ADDRESS = "http://127.0.0.1:8265"

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # a token of RFC 9110


@dataclass(frozen=True, slots=True)
class RaySettings:
    """`[tool.marin-build.ray]`.

    Args:
        address: the URL of the cluster's dashboard; None: what RAY_API_SERVER_ADDRESS says, or else
            `http://127.0.0.1:8265`.
        token: where the token of the cluster is found, `env:NAME` or `file:PATH`; None: in
            RAY_AUTH_TOKEN, if that is set. It is sent as `Authorization: Bearer`.
        headers: further headers of requests, by name, and where the value of each is found, as for
            `token`: `{X-Lab-Key = "env:LAB_KEY"}`.
        program: the program that jobs run, found in their PATH or in the project.
        runtime_env: Ray's environment of all jobs, `{pip = ["numpy==2.1"]}`. It stands in plans and
            in Ray's table of jobs, so it is no place for secrets.
        resources: further custom resources that each job asks for, such as `{preemptible = 0.01}`.
        gpu_types: whether jobs ask for the declared type of GPU, or for any.
        tpu_head: what the cluster calls the first host of a slice among its resources.
        max_jobs: how many jobs may wait or run at once.
        code_from: where jobs find the project's code: `project`, its folder, which all nodes see at
            the place it has here; or `bundle`, a copy of it under the prefix.
        bundle_limit: bytes that such a bundle may have.
        poll: seconds between two questions to the dashboard about all jobs.

    """

    address: str | None = None
    token: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    program: str = "marin-build"
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    gpu_types: bool = True
    tpu_head: str = "TPU-{slice}-head"
    max_jobs: int = 100
    code_from: Literal["project", "bundle"] = "project"
    bundle_limit: str = BUNDLE_LIMIT
    poll: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what Ray would refuse, and what would write a secret into a plan."""
        for key in ("max_jobs", "poll"):
            if not getattr(self, key) > 0:
                raise UsageError(f"the setting `ray.{key}` is not a number above 0")
        check_bundle_limit("ray", self.bundle_limit)
        if self.address is not None:
            check_address("the setting `ray.address`", self.address)
        if self.token is not None:
            _check_reference("token", self.token)
        for name, reference in self.headers.items():
            if not _HEADER.fullmatch(name):
                raise UsageError(f"`{name}` in `ray.headers` cannot be the name of a header")
            _check_reference(f"headers.{name}", reference)
        for name, amount in self.resources.items():
            if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
                raise UsageError(f"`ray.resources.{name}` is not a number above 0")
        _check_runtime_env(self.runtime_env)

    @property
    def secret_headers(self) -> list[tuple[str, str, str]]:
        """The headers of requests: name, what stands before the secret, and its reference."""
        found = [(name, "", str(each)) for name, each in sorted(self.headers.items())]
        if self.token is not None:
            found.insert(0, ("Authorization", "Bearer ", self.token))
        return found


def check_address(what: str, address: str) -> None:
    """Refuse what is not the URL of a dashboard.

    Raises:
        UsageError: it is none. A password in it is not shown.

    """
    hint = "give the URL of the dashboard, such as http://127.0.0.1:8265"
    try:
        parts = urlsplit(address)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise UsageError(f"{what} is no URL", hint=hint) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"{what} holds a user or a password",
            hint="give a token by reference: ray.token, or ray.headers",
        )
    is_plain = address.isascii() and address.isprintable() and " " not in address
    if not is_url or not is_plain or parts.query or parts.fragment:
        raise UsageError(f"{what} is no URL of a dashboard: `{address}`", hint=hint)


def _check_reference(key: str, reference: object) -> None:
    try:
        Secret(reference)  # type: ignore[arg-type] # it refuses what is no text
    except SpecificationError:
        raise UsageError(
            f"the setting `ray.{key}` is no reference to a secret",
            hint="give env:NAME, an environment variable, or file:PATH, a file",
        ) from None


def _check_runtime_env(runtime_env: Mapping[str, Any]) -> None:
    try:
        json.dumps(runtime_env, allow_nan=False)
    except (TypeError, ValueError):
        raise UsageError("the setting `ray.runtime_env` cannot be written as JSON") from None
    variables = runtime_env.get("env_vars", {})
    is_table = isinstance(variables, Mapping)
    if not is_table or not all(isinstance(value, str) for value in variables.values()):
        raise UsageError("`ray.runtime_env.env_vars` is no table of strings")
    called_so = [f"env_vars.{name}" for name in variables if is_secret_name(name)]
    formed_so = [key for key, text in _texts(runtime_env) if any(forms_in(text))]
    if secrets := [*called_so, *formed_so]:
        raise UsageError(
            f"`ray.runtime_env.{secrets[0]}` looks like a secret",
            consequence="all who read plans, or the cluster's table of jobs, would see it",
            hint="set it in the environment of the cluster's nodes",
        )


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in a value of TOML, each with its keys."""
    match value:
        case str():
            yield key.removeprefix("."), value
        case Mapping():
            for name, each in value.items():
                yield from _texts(each, f"{key}.{name}")
        case list():
            for each in value:
                yield from _texts(each, key)
