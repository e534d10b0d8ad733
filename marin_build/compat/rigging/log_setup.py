"""The log of a program, as experiments set it up."""

from __future__ import annotations

import logging

_FORM = "%(asctime)s %(levelname).1s %(name)s %(message)s"
_TALKATIVE = ("httpx", "httpcore", "fsspec")


def configure_logging(level: int = logging.INFO) -> None:
    """Have messages from `level` on written to stderr, unless a handler writes them already.

    What this process has as handlers stays: the log of a step goes where its runner reads it.
    """
    logging.basicConfig(format=_FORM)
    logging.getLogger().setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
