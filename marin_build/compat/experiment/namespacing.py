"""Names below a user's own folder, so that two people's dev versions do not meet."""

from __future__ import annotations

from marin_build.compat.versions import is_mutable_version
from marin_build.protocol.launch_provenance import username_segment


def user_owned_name(name: str) -> str:
    """Return `users/{user}/{name}`.

    Raises:
        NoUserError: neither the system nor the job says who the user is; a RuntimeError.

    """
    return f"users/{username_segment()}/{name}"


def user_namespaced_name(name: str, version: str) -> str:
    """Return `users/{user}/{name}` for a dev version; any other version keeps the shared name.

    Raises:
        NoUserError: neither the system nor the job says who the user is; a RuntimeError.

    """
    return user_owned_name(name) if is_mutable_version(version) else name
