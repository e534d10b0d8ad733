"""Signatures of saved plans, made and checked by ssh-keygen: who says that this plan may run.

A signature covers the bytes of plan.json, and so the digest of every other file of the plan.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError, UsageError
from marin_build.plan.document import PLAN_FILE, SIGNATURE_FILE
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence


NAMESPACE = "marin-build"
"""Says what a signature is for: one of the same key for git or mail does not count."""
_NOT_WRITTEN, _NOT_RUN = "nothing was written", "nothing was run"
_LONGEST_SIGNATURE = 1 << 16


def sign(text: str, key: str) -> str:
    """Return the signature of a plan.json by a key, as ssh-keygen writes it.

    Args:
        text: the text of the plan.
        key: the file of a private key; or of a public one, if the agent holds the private one.

    Raises:
        UsageError: there is no such file, ssh-keygen is not there, or it cannot use the key.

    """
    if not os.path.isfile(key):
        raise UsageError(
            f"there is no key `{key}`",
            consequence=_NOT_WRITTEN,
            hint="name the file of a private ssh key: --sign ~/.ssh/id_ed25519",
        )
    with tempfile.TemporaryDirectory(prefix="marin-build-sign-") as folder:
        plan = os.path.join(folder, PLAN_FILE)
        with open(plan, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(text)
        done = _ssh_keygen(("sign", "-f", key, "-n", NAMESPACE, plan), b"", _NOT_WRITTEN)
        signature = _read(os.path.join(folder, SIGNATURE_FILE))
    if done.returncode != 0 or signature is None:
        raise UsageError(
            f"cannot sign the plan with the key `{key}`",
            facts=[("ssh-keygen", _said(done))],
            consequence=_NOT_WRITTEN,
            hint="ssh-keygen asks for a passphrase only on a terminal; without one load the key "
            f"into the agent (ssh-add), and name its public half: --sign {_public(key)}",
        )
    return signature.decode("ascii", "replace")


def check_signature(folder: str, plan: bytes, signers: str) -> str:
    """Return who signed a plan, as the file of allowed signers names them.

    Args:
        folder: the plan's directory, for the signature and for errors.
        plan: the bytes of plan.json that will be used.
        signers: the file of allowed signers, in the form that ssh-keygen(1) describes.

    Raises:
        StoppedError: the plan is not signed, not as it was when it was signed, or signed by a key
            that is not allowed to.
        UsageError: there is no such file, or ssh-keygen is not there.

    """
    if not os.path.isfile(signers):
        raise UsageError(
            f"there is no file of allowed signers `{signers}`",
            consequence=_NOT_RUN,
            hint='a line of it: `ada@example.org namespaces="marin-build" ssh-ed25519 AAAA...`',
        )
    path = os.path.join(folder, SIGNATURE_FILE)
    signature = _read(path)
    if signature is None:
        raise StoppedError(
            f"the plan in `{folder}` is not signed",
            facts=[("missing", path)],
            consequence=_NOT_RUN,
            hint="have it signed: marin-build plan -o DIR --sign KEY, or "
            f"ssh-keygen -Y sign -n {NAMESPACE} -f KEY {os.path.join(folder, PLAN_FILE)}",
        )
    with tempfile.TemporaryDirectory(prefix="marin-build-verify-") as own:
        copy = os.path.join(own, SIGNATURE_FILE)  # the bytes that were read, whatever is done to it
        with open(copy, "wb") as stream:
            stream.write(signature)
        known = ("-f", signers, "-s", copy)
        found = _ssh_keygen(("find-principals", *known), b"", _NOT_RUN)
        names = found.stdout.decode("utf-8", "replace").split("\n") if not found.returncode else []
        last = found
        for name in filter(None, names):
            last = _ssh_keygen(("verify", *known, "-I", name, "-n", NAMESPACE), plan, _NOT_RUN)
            if last.returncode == 0:
                return name
    if last is found:
        what, hint = "is not by an allowed signer", f"add the signer's public key to `{signers}`"
    else:
        what, hint = "does not fit it", "have the plan made and signed again"
    raise StoppedError(
        f"the signature of the plan in `{folder}` {what}",
        facts=[("allowed signers", signers), ("ssh-keygen", _said(last))],
        consequence=_NOT_RUN,
        hint=hint,
    )


def _ssh_keygen(
    words: Sequence[str], data: bytes, consequence: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `ssh-keygen -Y ...`; it may ask for a passphrase on the terminal, never on our input."""
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", *words],
            input=data,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise UsageError(
            "cannot run `ssh-keygen`, which makes and checks signatures",
            facts=[("reason", error.strerror or str(error))],
            consequence=consequence,
            hint="install OpenSSH 8.2 or newer: the package is mostly called openssh-client",
        ) from error


def _read(path: str) -> bytes | None:
    """Return the bytes of a signature; None if there is no such file, or it is none by its size."""
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        data = stream.read(_LONGEST_SIGNATURE + 1)
    return data if len(data) <= _LONGEST_SIGNATURE else None


def _public(key: str) -> str:
    return key if key.endswith(".pub") else f"{key}.pub"


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return what ssh-keygen said, without characters that move a cursor."""
    lines = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
    said = [printable(line) for line in lines if line.strip()]
    return shortened("\n".join(said[:5]), 1000) or f"exit code {done.returncode}"
