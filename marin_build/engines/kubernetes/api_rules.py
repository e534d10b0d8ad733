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
# Servers before 1.34 take no other names of variables; later ones take what is printed in ASCII.
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)
_PRINTED = re.compile(r"[ -<>-~]+", re.ASCII)
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_PORT_NAME = re.compile(r"(?=[a-z0-9-]*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_FILE_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
# The grammar of github.com/distribution/reference.
_IMAGE = re.compile(
    r"(?P<name>(?:(?:[A-Za-z0-9]|[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9])"
    r"(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][-A-Za-z0-9]*[A-Za-z0-9]))*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::[\w][\w.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN, _LONGEST_IMAGE, _LONGEST_PORT_NAME = 253, 255, 15

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


def label_text_problem(text: str) -> str | None:
    """Return why a text cannot be the value of any label: it may also be empty."""
    return label_value_problem(text) if text else None


def key_problem(key: str) -> str | None:
    """Return why a text cannot be the key of a label, an annotation or a resource."""
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := name_problem(prefix)):
        return f"is not a key: what stands before `/` {problem}"
    if _KEY_NAME.fullmatch(name):
        return None
    return (
        "is not a key: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at the "
        "ends, and a domain with `/` before them where there is one"
    )


def domain_path_problem(text: str) -> str | None:
    """Return why a text cannot be a name in a domain: `example.com/controller`."""
    domain, _, path = text.partition("/")
    if len(text) <= _LONGEST_LABEL and domain and path and name_problem(domain) is None:
        return None
    return f"is not a domain, `/` and a name, together at most {_LONGEST_LABEL} characters"


def port_name_problem(name: str) -> str | None:
    """Return why a text cannot be the name of a port (RFC 6335)."""
    if len(name) <= _LONGEST_PORT_NAME and _PORT_NAME.fullmatch(name):
        return None
    return (
        "is not the name of a port: at most 15 lower-case letters, digits and single `-`, a letter "
        "among them"
    )


def file_key_problem(key: str) -> str | None:
    """Return why a text cannot be a key of a Secret or a ConfigMap."""
    is_name = key != "." and not key.startswith("..")
    if is_name and len(key) <= _LONGEST_SUBDOMAIN and _FILE_KEY.fullmatch(key):
        return None
    return "is not a key of a Secret or a ConfigMap: letters, digits, `-`, `_` and `.`"


def dns_1035_problem(name: str) -> str | None:
    """Return why a text cannot be a DNS label that starts with a letter (RFC 1035)."""
    if not _LABEL.fullmatch(name):
        return label_problem(name)
    return None if name[0].isalpha() else "does not start with a letter"


def named_by_label_problem(text: str) -> str | None:
    """Return why a text cannot be the name of an object that a label names: a queue."""
    return name_problem(text) or label_value_problem(text)


def variable_problem(name: str) -> str | None:
    """Return why a text cannot be the name of an environment variable of a pod."""
    if _VARIABLE.fullmatch(name):
        return None
    return "is not a variable of a pod: letters, digits, `_`, `-` and `.`, not a digit first"


def new_variable_problem(name: str) -> str | None:
    """Return why a server since 1.34 refuses the name of an environment variable."""
    if _PRINTED.fullmatch(name):
        return None
    return "is not a variable of a pod: printed characters of ASCII, and no `=`"


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
