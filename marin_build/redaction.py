"""Secret values: recognised by the names of their variables, and replaced in text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


SHORTEST = 8
"""Characters of the shortest value that is replaced: shorter ones occur in ordinary text."""
_WORDS = frozenset({
    "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE",
    "PWD", "CREDENTIAL", "CREDENTIALS", "KEY", "APIKEY", "SAS", "DSN", "COOKIE", "AUTHORIZATION",
})  # fmt: skip
_ENDINGS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "APIKEY", "TOKEN")
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secret values in text by the names of their variables.

    Args:
        secrets: value -> the name that stands for it; longer values first.

    """

    secrets: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Redactor:
        """Return the redactor of the secrets among environment variables."""
        found: dict[bytes, bytes] = {}
        for name, value in environ.items():
            for secret in _secrets_in(name, value):
                found[secret.encode("utf-8", "surrogateescape")] = f"[{name}]".encode()
        return cls(tuple(sorted(found.items(), key=lambda item: -len(item[0]))))

    def joined(self, other: Redactor) -> Redactor:
        """Return the redactor of the secrets of both."""
        if not other.secrets:
            return self
        both = dict((*self.secrets, *other.secrets))
        return Redactor(tuple(sorted(both.items(), key=lambda item: -len(item[0]))))

    def clean(self, data: bytes) -> bytes:
        """Return data in which each secret is replaced by the name of its variable."""
        for secret, name in self.secrets:
            if secret in data:
                data = data.replace(secret, name)
        return data

    def clean_text(self, text: str) -> str:
        """Return a text in which each secret is replaced by the name of its variable."""
        if not self.secrets:
            return text
        data = text.encode("utf-8", "surrogatepass")
        return self.clean(data).decode("utf-8", "surrogatepass")

    def begun(self, data: bytes) -> int:
        """Return how many bytes at the end of data may be the beginning of a secret."""
        longest = 0
        for secret, _ in self.secrets:
            for length in range(min(len(secret) - 1, len(data)), longest, -1):
                if data.endswith(secret[:length]):
                    longest = length
                    break
        return longest


NOTHING_SECRET = Redactor()


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return those of some environment variables that hold no secret."""
    return {name: value for name, value in variables.items() if not any(_secrets_in(name, value))}


def _secrets_in(name: str, value: str) -> Iterator[str]:
    """Yield what is secret in a variable: each line of its value; the password in a URL."""
    if _is_secret(name):
        yield from (line for line in value.splitlines() if len(line) >= SHORTEST)
    yield from (found for found in _IN_URL.findall(value) if len(found) >= SHORTEST)


def _is_secret(name: str) -> bool:
    upper = name.upper()
    if upper in _NOT_SECRET:
        return False
    words = upper.replace("-", "_").split("_")
    is_word = any(word in _WORDS or word.endswith(_ENDINGS) for word in words)
    return is_word or upper.endswith("CONNECTION_STRING")
