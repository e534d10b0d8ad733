"""Secret values: found among environment variables, or by their form, and replaced. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marin_build.quick_dataclass import dataclass
from marin_build.text.secret_shapes import is_secret_name, masked, masked_item, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


SHORTEST = 8
"""Characters from which on a value is blotted out wherever it stands."""
_SHORTEST_WORD = 3
"""Shorter secrets are blotted out where they stand as a word; still shorter ones are left."""
_LONGEST = 1 << 17
"""Characters of a value that are looked at; Linux gives programs no longer one."""
_NO_SECRETS = frozenset({
    "true", "false", "yes", "none", "null", "off", "auto", "default", "enabled", "disabled", "test",
    "local", "prod", "dev", "basic", "bearer", "oauth", "token", "password", "secret", "key",
})  # fmt: skip
"""Short values that say nothing secret, and stand in every second line of a log."""
_WORD = b"A-Za-z0-9_"


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secret values in text, and what has the form of a secret.

    Args:
        secrets: value -> the name that stands for it; longer values first.
        words: the same for short values, which are blotted out where they stand alone.

    """

    secrets: tuple[tuple[bytes, bytes], ...] = ()
    words: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str], declared: Sequence[str] = ()) -> Redactor:
        """Return the redactor of the secrets among environment variables.

        Args:
            environ: the variables.
            declared: patterns of names that are secret besides those that are known; see
                `is_secret_name`.

        """
        found: dict[bytes, bytes] = {}
        for name, value in environ.items():
            for secret in _secrets_of(name, value, declared):
                found[secret] = f"[{name}]".encode()
        return cls.for_values(found)

    @classmethod
    def for_values(cls, found: Mapping[bytes, bytes]) -> Redactor:
        """Return what blots out values, each by the name that stands for it."""
        ordered = sorted(found.items(), key=lambda item: -len(item[0]))
        long = tuple(item for item in ordered if len(item[0]) >= SHORTEST)
        return cls(long, tuple(ordered[len(long) :]))

    def joined(self, other: Redactor) -> Redactor:
        """Return the redactor of the secrets of both."""
        if not other.secrets and not other.words:
            return self
        return Redactor.for_values(dict((*self.secrets, *self.words, *other.secrets, *other.words)))

    def clean(self, data: bytes) -> bytes:
        """Return data in which each secret is replaced by the name of its variable."""
        for secret, name in self.secrets:
            if secret in data:
                data = data.replace(secret, name)
        for word, name in self.words:
            if word in data:
                whole = b"(?<![%b])%b(?![%b])" % (_WORD, re.escape(word), _WORD)
                data = re.sub(whole, lambda _found, name=name: name, data)  # type: ignore[misc]
        return masked(data)

    def clean_text(self, text: str) -> str:
        """Return a text in which each secret is replaced by the name of its variable."""
        data = text.encode("utf-8", "surrogatepass")
        clean = self.clean(data)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")

    def clean_values(self, value: Any, name: str = "") -> Any:
        """Return JSON values without the secrets in their texts, and without what is called one.

        Args:
            value: a value; keys lose secrets, too.
            name: what the value is called.

        """
        match value:
            case str():
                return self.clean_text(masked_item(name, value))
            case dict():
                return {
                    self.clean_text(key): self.clean_values(item, key)
                    for key, item in value.items()
                }
            case list():
                return [self.clean_values(item, name) for item in value]
        return value

    def begun(self, data: bytes) -> int:
        """Return how many bytes at the end of data may be the beginning of a secret."""
        longest = 0
        for secret, _ in self.secrets:
            longest = max(longest, _overlap(data, secret, len(secret) - 1))
        for word, _ in self.words:  # whether it goes on is not known yet
            longest = max(longest, _overlap(data, word, len(word)))
        return longest


def _overlap(data: bytes, secret: bytes, most: int) -> int:
    """Return the length of the longest beginning of a secret that ends data; linear.

    Args:
        data: a piece of a log.
        secret: not empty.
        most: the longest that counts.

    """
    tail = data[-most:] if most else b""
    # The borders of Knuth, Morris and Pratt: `fits` characters of the secret end what was read.
    borders, fits = [0] * len(secret), 0
    for i in range(1, len(secret)):
        while fits and secret[i] != secret[fits]:
            fits = borders[fits - 1]
        fits += secret[i] == secret[fits]
        borders[i] = fits
    fits = 0
    for byte in tail:
        while fits and (fits == len(secret) or byte != secret[fits]):
            fits = borders[fits - 1]
        fits += byte == secret[fits]
    return fits


NOTHING_SECRET = Redactor()


def without_secrets(variables: Mapping[str, str], declared: Sequence[str] = ()) -> dict[str, str]:
    """Return those of some environment variables that hold no secret."""
    return {
        name: value
        for name, value in variables.items()
        if not any(_secrets_of(name, value, declared))
    }


def _secrets_of(name: str, value: str, declared: Sequence[str]) -> Iterator[bytes]:
    """Yield what is secret in a variable: each line of its value; what has the form of one."""
    value = value[:_LONGEST]
    if is_secret_name(name, declared):
        lines: Iterable[str] = value.splitlines()
        for line in lines:
            if len(line) >= SHORTEST or _is_short_secret(line):
                yield line.encode("utf-8", "surrogateescape")
    yield from (secret for secret in secrets_in(value) if len(secret) >= _SHORTEST_WORD)


def _is_short_secret(text: str) -> bool:
    """Return whether a short value may be a secret: no number, and no word that is everywhere."""
    return (
        len(text) >= _SHORTEST_WORD
        and text.lower() not in _NO_SECRETS
        and not text.isdigit()
        and "-" * len(text) != text
    )
