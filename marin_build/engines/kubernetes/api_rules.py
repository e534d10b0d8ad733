"""The rules of the Kubernetes API for values that come from users, as far as they need no server.

A server refuses a Job that breaks one. A JobSet it accepts, which then stays silent for ever.
Facts: a server 1.36 that was asked (`--dry-run=server`), and what the kubelet refuses afterwards.
Each function returns the problem in words, to stand after the value, or None.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
# Servers before 1.34 take no other names.
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
# The grammar of github.com/distribution/reference.
_IMAGE = re.compile(
    r"(?P<name>(?:(?:[A-Za-z0-9]|[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9])"
    r"(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9]))*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::[\w][\w.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_LONGEST_SUBDOMAIN, _LONGEST_IMAGE = 253, 255

LARGEST_INT32 = 2**31 - 1
"""Seconds and counts of the API are no larger, where they are not 64 bits wide."""
LARGEST_OBJECT = 3 << 19
"""Bytes of the largest object that a server stores (etcd takes 1.5 MiB)."""
LONGEST_WORD = (1 << 17) - 1
"""Bytes of the longest word of a command, and of a variable with its name, that Linux starts."""


def label_problem(text: str) -> str | None:
    """Return why a text cannot be the name of a namespace."""
    if _LABEL.fullmatch(text):
        return None
    return "is not a DNS label: at most 63 lower-case letters, digits and `-`, none at the ends"


def name_problem(text: str) -> str | None:
    """Return why a text cannot be the name of an object: a Secret, a service account."""
    if len(text) <= _LONGEST_SUBDOMAIN and _SUBDOMAIN.fullmatch(text):
        return None
    return (
        "is not the name of an object: at most 253 lower-case letters, digits, `-` and `.`, with a "
        "letter or digit at the ends and beside each `.`"
    )


def label_value_problem(text: str) -> str | None:
    """Return why a text cannot be the value of a label, which nodes are chosen by."""
    if text and _LABEL_VALUE.fullmatch(text):
        return None
    return (
        "is not the value of a label: at most 63 letters, digits, `-`, `_` and `.`, with a letter "
        "or digit at the ends"
    )


def named_by_label_problem(text: str) -> str | None:
    """Return why a text cannot be the name of an object that a label names: a queue."""
    return name_problem(text) or label_value_problem(text)


def variable_problem(name: str) -> str | None:
    """Return why a text cannot be the name of an environment variable of a pod."""
    if _VARIABLE.fullmatch(name):
        return None
    return "is not a variable of a pod: letters, digits, `_`, `-` and `.`, not a digit first"


def image_problem(image: str) -> str | None:
    """Return why a text cannot be an image: a server takes it, and the pod never starts."""
    found = _IMAGE.fullmatch(image)
    if found is not None and len(found["name"]) <= _LONGEST_IMAGE:
        return None
    if not image.strip():
        return "is empty"
    if "@" in image:
        return "is not an image: a digest is `@sha256:` and 64 hexadecimal digits"
    return "is not an image: `registry.example/project/name:tag`, the name in lower case"
